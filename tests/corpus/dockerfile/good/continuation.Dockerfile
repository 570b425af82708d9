FROM a
RUN first \
    second\
  third \  	
\
  fourth
RUN no \\
USER continuation
RUN at the end \