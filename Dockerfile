# Builds with the classic builder as well as with BuildKit, and needs nothing from either.
FROM rust:1-slim-bookworm AS build
WORKDIR /build

# The dependencies in a layer of their own, which only Cargo.toml, Cargo.lock and build.rs can change.
COPY Cargo.toml Cargo.lock build.rs ./
RUN mkdir src \
 && touch src/lib.rs \
 && echo 'fn main() {}' >src/main.rs \
 && cargo build --release --locked --bin lockkeeper

COPY README.md ./
COPY src src
# COPY keeps the files' times, and to cargo they would look older than what it has just built.
RUN touch src/lib.rs src/main.rs \
 && cargo build --release --locked --bin lockkeeper


FROM debian:bookworm-slim
# The CAs are what TLS to the database is checked against.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 lockkeeper \
 && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin lockkeeper \
 && mkdir /migrations
COPY --from=build /build/target/release/lockkeeper /usr/local/bin/lockkeeper

ENV LOCKKEEPER_DIR=/migrations LOCKKEEPER_LISTEN=0.0.0.0:9002
EXPOSE 9002
# By number, so that an orchestrator can see that it isn't root.
USER 10001:10001
WORKDIR /
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=10s --retries=3 \
    CMD ["lockkeeper", "probe", "http://127.0.0.1:9002/alive"]
ENTRYPOINT ["lockkeeper"]
CMD ["up"]
