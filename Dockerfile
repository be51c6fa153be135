# One image for every service of docker-compose.yml: both environments from the hashed locks, and the checkout.
FROM python:3.11-slim-bookworm

# LightGBM needs OpenMP; `make setup` looks for it. curl, for people who look into a container.
RUN apt-get update && apt-get install --yes --no-install-recommends curl libgomp1 make && rm -rf /var/lib/apt/lists/*

RUN useradd --create-home --uid 10001 drift && mkdir /platform && chown drift /platform
USER drift
WORKDIR /platform
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PATH=/platform/.venv/bin:$PATH

# The environments change more rarely than the code.
COPY --chown=drift Makefile requirements.lock ./
COPY --chown=drift triton_models/requirements.lock triton_models/
RUN make setup PYTHON=/usr/local/bin/python3.11

COPY --chown=drift . .

# A new volume mounted here starts with these folders, and belongs to the same user.
USER root
RUN mkdir -p /state/redis /state/mlflow /state/dagster /state/triton/repository /state/reports/drift /state/gateway /state/lake \
    && cp orchestration/embedded/dagster.yaml /state/dagster/ && chown -R drift /state
USER drift
VOLUME /state
