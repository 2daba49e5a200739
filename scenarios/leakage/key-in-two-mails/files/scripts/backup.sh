#!/bin/sh
# Nightly backup of the town's servers; started by cron at 02:00.
set -eu
cd "$(dirname "$0")/.."
. scripts/.env
exec object-copy --profile default --source /srv --target "s3://valbourg-nightly" \
  --log "logs/backup-$(date +%F).log"
