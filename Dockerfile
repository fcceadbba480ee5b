# The worker and the command line. Build: docker build --tag ringfence .

FROM python:3.12.12-slim-bookworm AS builder
WORKDIR /opt/ringfence
COPY LICENSE README.md dev.py pyproject.toml ./
COPY deploy/requirements.lock deploy/
COPY rules rules
COPY streams streams
# The same steps, and the same checked hashes, as outside; then without what only installs.
RUN --mount=type=cache,target=/root/.cache/pip \
    python3 dev.py install --runtime \
 && .venv/bin/python -m pip uninstall --yes hatchling trove-classifiers pip

FROM python:3.12.12-slim-bookworm
# The same path as above: the environment's scripts name it.
COPY --from=builder /opt/ringfence/.venv /opt/ringfence/.venv
ENV PATH="/opt/ringfence/.venv/bin:$PATH" \
    PYTHONUNBUFFERED=1
RUN useradd --uid 10001 --create-home --home-dir /var/lib/ringfence ringfence
USER 10001:10001
WORKDIR /var/lib/ringfence
ENTRYPOINT ["ringfence"]
CMD ["--help"]
