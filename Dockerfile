# The agent with the plugins of PLUGINS, in an image without a shell or a package manager, for a root that is read-only.
#
#   docker build --tag candy-agent .
#   docker build --build-arg PLUGINS="candy-prometheus candy-callback" --tag candy-agent:small .
#   docker build --build-arg PLUGINS="candy-bash candy-callback" --build-arg PACKAGES="dash coreutils procps" --tag candy-agent:tools .

ARG DEBIAN=debian:12-slim

FROM ${DEBIAN} AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
# What changes seldom first, so that a change of the code does not fetch everything anew.
COPY tools/setup tools/setup
RUN tools/setup/uv.sh
COPY . .
ARG PLUGINS="candy-callback candy-kubernetes candy-prometheus candy-prometheusrule candy-ssh candy-victoriametrics candy-vmrule"
RUN contrib/deploy/image/install.sh /opt/candy-agent ${PLUGINS}

FROM ${DEBIAN} AS root
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates
COPY contrib/deploy/image/root.sh /
# Debian packages with the programs that templates of the plugin bash start. There is no shell where none is named.
ARG PACKAGES=""
RUN /root.sh /root-of-image python3-minimal libpython3-stdlib netbase tzdata ${PACKAGES}

FROM scratch
COPY --from=root /root-of-image /
COPY --from=build /opt/candy-agent /opt/candy-agent
ENV PATH=/opt/candy-agent/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/home/candy \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
# As a number: only so can Kubernetes tell (runAsNonRoot) that it is not root.
USER 65532:65532
EXPOSE 8888
# The agent itself is process 1: it hears SIGTERM, and reaps what its commands leave behind.
ENTRYPOINT ["/opt/candy-agent/bin/candy-agent"]
CMD ["serve"]
