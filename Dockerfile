# docker build -t convlstm . && docker run --rm -p 8501:8501 --memory 4g convlstm
# Whoever reaches port 8501 uses the app; no visitor can train (docs/deploying.md says more).
FROM python:3.11-slim-bookworm

WORKDIR /opt/convlstm
COPY requirements.txt ./
RUN python -m pip install --quiet --disable-pip-version-check --no-cache-dir -r requirements.txt
COPY app.py train.py evaluate.py README.md ./
COPY .streamlit .streamlit
COPY assets assets
COPY core core
COPY pages pages
COPY ui ui
# Docker's own user has no name here and owns nothing; runs are kept in a volume, if anywhere.
RUN useradd --create-home --uid 10001 convlstm && mkdir /runs && chown convlstm /runs
USER convlstm
ENV CONVLSTM_TRAINING=off CONVLSTM_LOG=info CONVLSTM_RUNS=/runs PYTHONDONTWRITEBYTECODE=1
EXPOSE 8501
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=2)"]
CMD ["python", "-m", "streamlit", "run", "app.py", "--server.headless", "true", "--server.address", "0.0.0.0", "--server.port", "8501", "--client.showErrorDetails", "none"]
