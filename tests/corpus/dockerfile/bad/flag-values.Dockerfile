FROM a
COPY --link=maybe --link= a b
COPY --from=a --from=b c d
RUN --network=bridge --security=secure x
