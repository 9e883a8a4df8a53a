# The suite with its environment, for clusters that start images:
#   docker build --tag=REGISTRY/lossjax:cuda13 --build-arg=DEVICE=cuda13 .
#   docker run --rm REGISTRY/lossjax:cuda13 sweep --out=gs://BUCKET/PREFIX
FROM python:3.12-slim-bookworm
# One of the locks: cpu, cuda (CUDA 12), cuda13 or tpu.
ARG DEVICE=cpu
ENV LOSSJAX_DEVICE=$DEVICE LOSSJAX_EXTRA=store LOSSJAX_VENV=/opt/lossjax-venv
WORKDIR /opt/lossjax
# The environment is a layer of its own: it changes with the locks alone.
COPY run.sh ./
COPY requirements requirements
RUN bash -c 'root=$PWD; source requirements/environment.sh; prepare_environment'
COPY . .
# Compiled programs and prepared sets go to the home of whoever runs it.
RUN useradd --create-home lossjax && mkdir -p results/local && chown lossjax results/local
USER lossjax
ENTRYPOINT ["./run.sh"]
