# docker build -t sluice --build-arg REVISION=$(git rev-parse HEAD) --build-arg SOURCE=https://… .
# docker run --read-only --cap-drop ALL --security-opt no-new-privileges -v ./sluice:/etc/sluice:ro -v sluice:/var/lib/sluice -p 127.0.0.1:9010:9010 sluice
# docker exec CONTAINER sluice offsets show

# The build: TypeScript to dist/.
FROM node:26-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src src
COPY connectors connectors
RUN npm run build && chmod a+x dist/src/main.js

# What runs needs no install script: the one native module (LevelDB) brings its binaries for glibc, x64 and arm64, in its package.
FROM node:26-bookworm-slim AS dependencies
# The directory's name is the one in the bill of materials.
WORKDIR /sluice
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts
# What is in it, for scanners: CycloneDX, of what is installed. Not `--omit=dev`: that leaves out whatever a development dependency needs as well (npm/cli#7909).
RUN npm pkg delete devDependencies && npm sbom --sbom-format=cyclonedx --sbom-type=application > sbom.cdx.json

FROM node:26-bookworm-slim
# All that is ever written is the data directory: the root file system can be mounted read-only.
ENV NODE_ENV=production \
    SLUICE_CONFIG=/etc/sluice \
    SLUICE_DATA_DIR=/var/lib/sluice \
    SLUICE_HEALTH=0.0.0.0:9010
# `sluice` on the path: it is what the remedies in error messages name.
RUN install -d -o node -g node -m 0700 /var/lib/sluice && install -d /etc/sluice && ln -s /app/dist/src/main.js /usr/local/bin/sluice
WORKDIR /app
COPY package.json LICENSE CHANGELOG.md ./
COPY config config
COPY --from=dependencies /sluice/sbom.cdx.json ./
COPY --from=dependencies /sluice/node_modules node_modules
COPY --from=build /app/dist dist
# The user `node`, as numbers: Kubernetes' runAsNonRoot cannot tell who a name is.
USER 1000:1000
VOLUME /var/lib/sluice
EXPOSE 9010
# 20 s: the process may be waiting for servers, but it answers from its first second on.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.SLUICE_HEALTH.split(':').pop()}/livez`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# Node as PID 1 handles SIGTERM itself: it drains.
ENTRYPOINT ["node", "--disable-proto=throw", "/app/dist/src/main.js"]
CMD ["run"]
# Last, so that another revision changes no layer.
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="sluice" \
      org.opencontainers.image.description="Change data capture as a sidecar: Postgres, MySQL and MariaDB to Kafka and NATS JetStream" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.source="$SOURCE"
