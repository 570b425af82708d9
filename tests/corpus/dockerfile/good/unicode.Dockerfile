FROM a
ENV NAME="안녕 ü"
RUN echo x
COPY --chown=ü ä ö
