"""Night after night: a sweep as a systemd timer, a line of a crontab, or a Kubernetes CronJob."""
