# Images of Shoal's processes: docker build --target shoal-api -t shoal-api:0.1.0 .
# Targets: shoal-api, shoal-worker, shoal-webhooks, shoal-worker-gpu; docs/containers.md tells the rest. BuildKit and the
# classic builder both build it, and nothing but the base images and npm's packages is downloaded (the GPU image: and CUDA's).

ARG NODE_IMAGE=node:24.21.0-bookworm-slim
ARG CUDA_IMAGE=nvidia/cuda:13.0.1-cudnn-runtime-ubuntu24.04

# The package.json files alone: packages are installed anew only when these change.
FROM ${NODE_IMAGE} AS manifests
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY apps apps
COPY libs libs
COPY tools tools
RUN find apps libs tools -type f ! -name package.json -delete

# Everything, compiled; then what each process needs of it, in /out.
FROM manifests AS build
RUN npm ci
COPY tsconfig.base.json ./
COPY apps apps
COPY libs libs
COPY tools tools
RUN node_modules/.bin/tsc -b apps/api apps/worker apps/webhooks apps/cli
COPY docker/assemble.mjs docker/assemble.mjs
RUN for app in api webhooks worker; do node docker/assemble.mjs $app /out/$app || exit 1; done

# What all processes have. (The base image's entry point is left out: the process itself hears SIGTERM.)
FROM ${NODE_IMAGE} AS runtime
WORKDIR /app
ENV NODE_ENV=production HOME=/tmp ORT_DISABLE_TELEMETRY=1 \
  SHOAL_MODELS_DIR=/app/models SHOAL_CACHE_DIR=/tmp/shoal SHOAL_METRICS_HOST=0.0.0.0 SHOAL_METRICS_PORT=9464
COPY docker/healthcheck.mjs docker/healthcheck.mjs
COPY models models
# A volume for files that is mounted here is writable.
RUN install -d -o 10001 -g 10001 /var/lib/shoal
EXPOSE 9464
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["node", "docker/healthcheck.mjs"]
USER 10001:10001
ENTRYPOINT []

FROM runtime AS shoal-api
# Where files are kept is for whoever runs it to say: there is nothing here to keep them in.
ENV SHOAL_HOST=0.0.0.0 PORT=8080 SHOAL_STORE=none
EXPOSE 8080
COPY --from=build /out/api/packages ./
COPY --from=build /out/api/app ./
CMD ["node", "apps/api/dist/main.js"]
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="shoal-api" \
  org.opencontainers.image.description="Shoal's API: checks, tokenises and queues jobs for ONNX models" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}"

FROM runtime AS shoal-webhooks
COPY --from=build /out/webhooks/packages ./
COPY --from=build /out/webhooks/app ./
CMD ["node", "apps/webhooks/dist/main.js"]
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="shoal-webhooks" \
  org.opencontainers.image.description="Shoal's webhooks: signed calls that tell what became of jobs" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}"

FROM runtime AS shoal-worker
COPY --from=build /out/worker/packages ./
COPY --from=build /out/worker/app ./
CMD ["node", "apps/worker/dist/start.cjs"]
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="shoal-worker" \
  org.opencontainers.image.description="Shoal's worker: micro-batches on ONNX Runtime" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}"

# ONNX Runtime's execution providers for CUDA and TensorRT are too large for npm; its install script downloads them.
# (It comes last: the classic builder builds every stage above the one that is asked for.)
FROM build AS cuda
RUN ONNXRUNTIME_NODE_INSTALL=cuda12 node node_modules/onnxruntime-node/script/install.js \
  && node docker/assemble.mjs worker /out/worker-gpu

# Debian's Node runs on Ubuntu as it is; CUDA and cuDNN come with the base image.
FROM ${CUDA_IMAGE} AS shoal-worker-gpu
WORKDIR /app
ENV NODE_ENV=production HOME=/tmp ORT_DISABLE_TELEMETRY=1 SHOAL_DEVICE=cuda:0 \
  SHOAL_MODELS_DIR=/app/models SHOAL_CACHE_DIR=/tmp/shoal SHOAL_METRICS_HOST=0.0.0.0 SHOAL_METRICS_PORT=9464
COPY --from=runtime /usr/local/bin/node /usr/local/bin/node
COPY --from=runtime /app ./
EXPOSE 9464
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 CMD ["node", "docker/healthcheck.mjs"]
USER 10001:10001
ENTRYPOINT []
COPY --from=cuda /out/worker-gpu/packages ./
COPY --from=cuda /out/worker-gpu/app ./
# A base image of another CUDA than the provider's fails here, naming the libraries that are missing, and not at run time.
RUN ! ldd node_modules/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime_providers_cuda.so | grep 'not found'
CMD ["node", "apps/worker/dist/start.cjs"]
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="shoal-worker-gpu" \
  org.opencontainers.image.description="Shoal's worker for NVIDIA GPUs" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}"
