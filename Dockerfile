# One image for every command of `ostiary`; the chart says which one runs.
#
#   docker build -t ostiary:0.1.0 .
#   docker build --target sbom --output dist .     its bill of materials: dist/ostiary.cdx.json
#   docker build -t ostiary-gateway:0.1.0 --build-arg EXTRAS=gateway,grpc .    a gateway without the operator's libraries

# A tag can change. For a reproducible image use the digest that your registry reports:
#   docker buildx imagetools inspect python:3.11-slim --format '{{.Manifest.Digest}}'
#   docker build --build-arg PYTHON_IMAGE=python:3.11-slim@sha256:<digest> -t ostiary:0.1.0 .
ARG PYTHON_IMAGE=python:3.11-slim

FROM ${PYTHON_IMAGE} AS build
ARG EXTRAS=gateway,grpc,operator,console,demo
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build

# Everything that is locked, by hash, before our own code: this layer changes with the lock file only.
COPY requirements/dev.txt requirements/
RUN pip download --quiet --require-hashes --only-binary :all: --dest /wheels -r requirements/dev.txt

# Our wheel is built with the locked hatchling, and its dependencies come from the locked wheels only. Developers' tools
# were downloaded, but are not installed.
COPY pyproject.toml README.md LICENSE ./
COPY operator operator
COPY sidecar sidecar
RUN pip wheel --quiet --no-index --find-links /wheels --no-deps --wheel-dir /wheels . \
 && python -m venv --without-pip /opt/ostiary \
 && pip --python /opt/ostiary/bin/python install --quiet --no-index --find-links /wheels --compile "ostiary[${EXTRAS}]"

# The bill of materials, from what is installed. Scanners also find it in the image.
COPY tools/ostiary_tools/generate/sbom.py ./
RUN /opt/ostiary/bin/python sbom.py --lock requirements/dev.txt > /build/ostiary.cdx.json

FROM scratch AS sbom
COPY --from=build /build/ostiary.cdx.json /

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="Ostiary" \
      org.opencontainers.image.description="The gateway between AI agents and MCP servers on Kubernetes" \
      org.opencontainers.image.licenses="Apache-2.0"
# No file is written next to the code: the root file system may be read-only.
ENV PATH=/opt/ostiary/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
COPY --from=build /opt/ostiary /opt/ostiary
COPY --from=build /build/ostiary.cdx.json /usr/share/sbom/
# Where `ostiary compile` writes in deploy/compose: a new volume there gets the owner of this folder.
RUN install -d -m 0700 -o 65532 -g 65532 /var/lib/ostiary
# A number, so that Kubernetes can verify that it is not root.
USER 65532:65532
EXPOSE 8080 8081 8082 7878
ENTRYPOINT ["ostiary"]
CMD ["--help"]
