# What browsers load from npm packages: the pages in front of GraphQL and REST, the chart.
FROM node:24-slim AS explorer
WORKDIR /build
COPY explorer/ explorer/
COPY scripts/explorer scripts/explorer
RUN scripts/explorer

FROM python:3.13-slim AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
RUN python -m venv /opt/process-monitor
COPY requirements.lock ./
# Wheels only: every locked package has one for this Python, so no compiler is needed.
RUN /opt/process-monitor/bin/pip install --require-hashes --only-binary :all: -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY app/ app/
COPY monitor/ monitor/
COPY graph/ graph/
COPY compat_rest/ compat_rest/
COPY dashboard/ dashboard/
COPY db/ db/
COPY --from=explorer /build/graph/static/ graph/static/
COPY --from=explorer /build/dashboard/assets/uplot/ dashboard/assets/uplot/
RUN /opt/process-monitor/bin/pip install --no-deps . \
    && /opt/process-monitor/bin/pip check \
    && /opt/process-monitor/bin/pip uninstall --yes pip

FROM python:3.13-slim
# A fixed id, so that volumes keep their owner when the image is built anew.
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin monitor \
    && install --directory --owner=monitor --group=monitor /data
COPY --from=builder /opt/process-monitor /opt/process-monitor
ENV PATH=/opt/process-monitor/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MONITOR_DATA_DIR=/data
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000 8050
ENTRYPOINT ["process-monitor"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
