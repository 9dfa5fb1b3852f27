# PostgreSQL, PgBouncer and the program in one image; everything that must last is in the volume.
#
#   docker build -t changeover .
#   docker run -d --name changeover --stop-timeout 60 -p 8090:8090 -p 20000-20099:20000-20099 -v changeover:/var/lib/changeover changeover
#   docker logs changeover          (the sign-in link)
#
# Reached under another address than localhost:8090: -e CHANGEOVER_URL=https://databases.example.com
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN make build

FROM debian:12-slim
COPY scripts/setup /usr/local/lib/changeover/setup
RUN /usr/local/lib/changeover/setup run && rm -rf /var/lib/apt/lists/*
# PostgreSQL refuses to run as root, so nothing here does. The number is fixed: it owns the volume's files.
RUN useradd --no-create-home --uid 10001 --home-dir /var/lib/changeover --shell /usr/sbin/nologin changeover \
 && install -d -o changeover -g changeover -m 0700 /var/lib/changeover
COPY --from=build /src/bin/changeover /usr/local/bin/changeover

# A hundred ports, since each published one costs Docker a rule. Databases must be reached from outside the container.
ENV CHANGEOVER_HOME=/var/lib/changeover \
    CHANGEOVER_ADDR=0.0.0.0:8090 \
    CHANGEOVER_DATABASE_HOST=0.0.0.0 \
    CHANGEOVER_DATABASE_PORTS=20000-20099
USER changeover
WORKDIR /var/lib/changeover
VOLUME /var/lib/changeover
EXPOSE 8090 20000-20099
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8090 && printf 'GET /healthz HTTP/1.0\\r\\nHost: localhost:8090\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200'"]
# As process 1 the program stops every database cleanly when SIGTERM arrives, then ends.
ENTRYPOINT ["/usr/local/bin/changeover"]
