# The image of the service; `tests/helm/image.rs` holds it against the chart.
FROM rust:1.95.0-slim-trixie AS build
# librdkafka is built from source, its C++ part too.
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ libssl-dev make pkg-config zlib1g-dev \
    && rm -rf /var/lib/apt/lists/*
# The image's own toolchain: rust-toolchain.toml asks for components that no build needs.
ENV RUSTUP_TOOLCHAIN=1.95.0
# The version of scripts/install-tools. Before the sources, so that a change of those does not build it anew.
RUN cargo install --locked --version 0.7.7 cargo-auditable
WORKDIR /src
COPY . .
# As scripts/release builds: the program carries the list of crates that it is made of, so that a scanner of the image finds them.
RUN cargo auditable build --release --locked --bin quaymeter

# With coreutils: the chart copies a key with `install`, and a shell is missed when something is wrong.
FROM debian:trixie-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libssl3t64 zlib1g \
    && rm -rf /var/lib/apt/lists/* \
    && install -d -o 10001 -g 10001 -m 0700 /var/lib/quaymeter
COPY --from=build /src/target/release/quaymeter /usr/local/bin/quaymeter
# Loopback in a container is nobody's. So it needs TLS and callers, or --insecure-i-know behind a port that only loopback has. A directory below the volume: its top may hold what is the file system's.
ENV QUAYMETER_LISTEN=0.0.0.0:7070 \
    QUAYMETER_HTTP_LISTEN=0.0.0.0:7071 \
    QUAYMETER_HEALTH_LISTEN=0.0.0.0:7072 \
    QUAYMETER_DATA_DIR=/var/lib/quaymeter/data
# By number, so that Kubernetes sees that it is not root.
USER 10001:10001
VOLUME /var/lib/quaymeter
EXPOSE 7070 7071 7072
ENTRYPOINT ["/usr/local/bin/quaymeter"]
CMD ["serve"]
