#!/bin/sh
# Run a command that may open the database. libpq takes its password from a file that nobody else can read, and a mounted
# secret can be read by all; PGPASSFILE is in the container's memory. What the command writes, others may read: Triton does.
set -eu
password=$(sed 's/[\\:]/\\&/g' "$POSTGRES_PASSWORD_FILE")
(umask 077; printf '*:*:*:*:%s\n' "$password" > "$PGPASSFILE")
exec "$@"
