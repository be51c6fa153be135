#!/bin/sh
# Run a command that may open the database. libpq takes its password from a file that nobody else can read, and a mounted
# secret can be read by all; PGPASSFILE is in the container's memory.
set -eu
umask 077
password=$(sed 's/[\\:]/\\&/g' "$POSTGRES_PASSWORD_FILE")
printf '*:*:*:*:%s\n' "$password" > "$PGPASSFILE"
exec "$@"
