from a as Build
rUn x
COPY --from=BUILD a b
