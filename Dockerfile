# nextclick in a container: docs/operate/deploy.md says how to run it.
#   docker build --tag nextclick .
#   docker build --tag nextclick:cuda --build-arg TORCH=cu126 .
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
# Which PyTorch: cpu, or a version of CUDA that pytorch.org has wheels for. These bring CUDA's
# libraries along; the machine needs a driver and the NVIDIA container toolkit.
ARG TORCH=cpu
ARG EXTRAS=avro,http,protobuf,serve
# hadolint ignore=DL3008
RUN apt-get update && \
    apt-get install --yes --no-install-recommends python3 python3-venv && \
    rm -rf /var/lib/apt/lists/* && \
    python3 -m venv /opt/nextclick
WORKDIR /source
COPY constraints.txt ./
# A layer of its own: PyTorch changes seldom, and is most of the image.
RUN /opt/nextclick/bin/pip install --no-cache-dir --constraint constraints.txt \
    --extra-index-url "https://download.pytorch.org/whl/${TORCH}" \
    "$(sed --quiet "s/^torch==.*/&+${TORCH}/p" constraints.txt)"
COPY pyproject.toml setup.py README.md LICENSE ./
COPY connectors connectors
COPY models models
COPY package package
COPY stream stream
# What is only for those who build on these libraries, or test them, is left out.
RUN /opt/nextclick/bin/pip install --no-cache-dir --constraint constraints.txt ".[${EXTRAS}]" && \
    /opt/nextclick/bin/pip uninstall --yes pip setuptools && \
    rm -rf /opt/nextclick/lib/python3*/site-packages/torch/bin/*[Tt]est* \
        /opt/nextclick/lib/python3*/site-packages/torch/bin/protoc* \
        /opt/nextclick/lib/python3*/site-packages/torch/include \
        /opt/nextclick/lib/python3*/site-packages/torch/share \
        /opt/nextclick/lib/python3*/site-packages/torch/test \
        /opt/nextclick/lib/python3*/site-packages/pyarrow/include \
        /opt/nextclick/lib/python3*/site-packages/pyarrow/src && \
    find /opt/nextclick -name '*.a' -delete && \
    find /opt/nextclick -type d -name tests -prune -exec rm -rf {} +

FROM ${BASE}
# hadolint ignore=DL3008
RUN apt-get update && \
    apt-get install --yes --no-install-recommends ca-certificates python3 && \
    rm -rf /var/lib/apt/lists/* && \
    useradd --uid 10001 --home-dir /var/lib/nextclick --create-home --shell /usr/sbin/nologin \
        nextclick && \
    install --directory --owner nextclick --group nextclick /var/cache/nextclick
COPY --from=build /opt/nextclick /opt/nextclick
ENV PATH=/opt/nextclick/bin:$PATH \
    NUMBA_CACHE_DIR=/var/cache/nextclick \
    NEXTCLICK_METRICS_PORT=9400 \
    NEXTCLICK_METRICS_ADDRESS=0.0.0.0 \
    HEALTH_URL=http://127.0.0.1:9400/healthz
USER 10001:10001
WORKDIR /var/lib/nextclick
# Compiled here, the loops need not be on a machine with the same kind of processor.
RUN ["python", "-c", "from nextclick.stream.config.run import RunConfig; from nextclick.stream.serving.run import compile_loops; compile_loops(RunConfig())"]
VOLUME ["/var/lib/nextclick"]
EXPOSE 8080 9400
# It ends a run with a last snapshot.
STOPSIGNAL SIGTERM
# The loop may take half a minute to begin where its loops are compiled anew. A replica has its
# health at its own port: HEALTH_URL=http://127.0.0.1:8080/healthz
HEALTHCHECK --interval=15s --timeout=5s --start-period=2m --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(os.environ['HEALTH_URL'], timeout=4)"]
ENTRYPOINT ["nextclick"]
CMD ["--help"]
