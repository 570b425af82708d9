FROM a
COPY a b
RUN cat <<ONE <<TWO
x
ONE
COPY <<-EOF /y
