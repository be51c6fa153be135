#!/bin/sh
# Make the folder ./secrets, once. Its files must be readable by the containers' users, who are not you, so the folder is
# closed to everybody else here. `none` stands for a secret that you have not got.
set -eu
mkdir -p -m 700 secrets
cd secrets
[ -e none ] || : > none
for name in postgres_password grafana_admin_password admin_token; do
  [ -e "$name" ] || head -c 24 /dev/urandom | base64 | tr '+/' '-_' > "$name"
done
chmod a+r -- *
