# docker build -t segbench . && docker run --rm --gpus all --shm-size=8g -v "$PWD:/work" segbench data=folder data.root=my_images
FROM python:3.12-slim
RUN apt-get update && apt-get install --yes --no-install-recommends git && rm -rf /var/lib/apt/lists/*
COPY . /opt/segbench
RUN pip install --no-cache-dir --constraint /opt/segbench/constraints.txt '/opt/segbench[search,tensorboard]'
WORKDIR /work
ENTRYPOINT ["segbench"]
