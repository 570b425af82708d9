ARG a
FROM b
COPY --from=$a c d
COPY --from=${a c d
RUN --mount=from=a$b,target=/x y
