FROM a
CMD ["a", "b\"c", "\u00e9"]
CMD [ ]
ENTRYPOINT ["x"] y
RUN ['single']
RUN [ "$HOME" ]
SHELL ["/bin/bash", "-c"]
CMD
ENTRYPOINT []
RUN [unclosed
