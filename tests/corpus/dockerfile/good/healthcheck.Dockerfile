FROM a
HEALTHCHECK NONE
HEALTHCHECK --interval=1h2m3.5s --timeout=500ms --start-period=0s --start-interval=1s --retries=5 CMD curl -f localhost || exit 1
HEALTHCHECK cmd ["a", "b"]
