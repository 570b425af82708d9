FROM a
RUN --mont=type=cache x
COPY --form=a \
     --chown b c
ENV --x a=b
ADD --from=a b c
