/** What `shoal --help` prints. */

export const HELP = `Shoal runs ONNX models for many callers at once, through a queue.

Usage
  shoal start [--workers N]    start everything on this machine: Redis, the API, webhooks, N workers (1)
  shoal fetch-model --url <url> --sha256 <hash> --to <folder> [--max-size 16Gi]
                               fetch one version of a model: a .tar or .tar.gz of its folder, unpacked
                               into <folder> (models/<name>/<version>) once its hash was checked
  shoal import <folder> [--name N] [--version V] [--dtype fp32|fp16|int8|int4] [--to models] [--force]
               [--report]
                               make a model of a Hugging Face folder (safetensors) or of ONNX files: checked, tried and
                               then put into <to>/<name>/<version>; several dtypes make several variants: fp32,int8;
                               --report measures them side by side: quality on the folder's eval.jsonl, size, speed
  shoal run <folder or model> [--prompt P] [--max-tokens 256] [--variant V]
                               generate text in the terminal with an imported model, always the likeliest token;
                               without --prompt each line of the input is one
  shoal --help                 show this
  shoal --version              show the version

  In a clone of the repository, "npm start" is "shoal start" after setting everything up;
  options go behind two dashes: npm start -- --workers 2

Environment
  PORT                 port of the API                             8080
  SHOAL_HOST           address of the API                          127.0.0.1
  REDIS_URL            a Redis of yours, redis:// or rediss://     a private one is started
  SHOAL_REDIS_CA       PEM file of who may sign its certificate    the system's
  SHOAL_REDIS_CLUSTER  true where it is a Redis Cluster            false
  SHOAL_MODELS_DIR     folder of model folders                     models
  SHOAL_DATA_DIR       where the private Redis keeps its data      .shoal
  SHOAL_REDIS_FSYNC    everysec, or always: no job is lost         everysec
                       when the machine fails
  SHOAL_SECRET_KEY     seals the secrets of webhooks               kept in SHOAL_DATA_DIR
  SHOAL_WEBHOOK_ALLOW  networks webhooks may call beside the       none
                       public internet: 127.0.0.0/8:9000
  SHOAL_METRICS_PORT   port of the API's /metrics                  a free one
  SHOAL_LOG            pretty, or json for log lines as they are   pretty

  SHOAL_API_KEYS and every other variable goes to the processes as it is.

Examples
  shoal start
  PORT=9000 shoal start --workers 2
  REDIS_URL=redis://127.0.0.1:6379 shoal start

Ctrl-C stops everything: running batches end, waiting jobs stay in Redis. A second Ctrl-C stops it at once.`;
