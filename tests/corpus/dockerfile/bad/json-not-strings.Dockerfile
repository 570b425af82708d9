FROM a
CMD ["a", 1]
VOLUME [null]
COPY ["a", ["b"]]
HEALTHCHECK CMD [true]
