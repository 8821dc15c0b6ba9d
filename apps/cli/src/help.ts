/** What the help of `shoal` says beyond its commands and their options. */

export const ENVIRONMENT = `Environment:
  PORT                   port of the API                             8080
  SHOAL_HOST             address of the API                          127.0.0.1
  REDIS_URL              a Redis of yours, redis:// or rediss://     a private one is started
  SHOAL_REDIS_CA         PEM file of who may sign its certificate    the system's
  SHOAL_REDIS_CLUSTER    true where it is a Redis Cluster            false
  SHOAL_REDIS_SENTINELS  redis:// URLs of Sentinels; REDIS_URL's     none
                         host is then the name of the primary
  SHOAL_MODELS_DIR       folder of model folders                     models
  SHOAL_DATA_DIR         where the private Redis keeps its data      .shoal
  SHOAL_REDIS_FSYNC      everysec, or always: no job is lost         everysec
                         when the machine fails
  SHOAL_API_KEYS         who may call: tenant:key, comma-separated   everybody
  SHOAL_URL              API that predict, jobs and models call      the one at PORT
  SHOAL_KEY              your key there                              one of SHOAL_API_KEYS
  SHOAL_SECRET_KEY       seals the secrets of webhooks               kept in SHOAL_DATA_DIR
  SHOAL_WEBHOOK_ALLOW    networks webhooks may call beside the       none
                         public internet: 127.0.0.0/8:9000
  SHOAL_METRICS_PORT     port of the API's /metrics; the next ones   9464
                         are of webhooks and the workers
  SHOAL_LOG              pretty, or json for log lines as they are   pretty

  Every other variable goes to the processes as it is; docs/configuration.md has them all.`;

export const EXAMPLES = {
  start: `Examples:
  npx shoal start
  PORT=9000 npx shoal start --workers 2
  REDIS_URL=redis://127.0.0.1:6379 npx shoal start

  In a clone of the repository, "npm start" is "shoal start" after setting everything up; options go behind two dashes:
  npm start -- --workers 2

  At Ctrl-C running batches end and waiting jobs stay in Redis. A second Ctrl-C stops it at once.`,
  pull: `Examples:
  npx shoal pull hf:Qwen/Qwen3-0.6B                           the checkpoint and its tokenizer
  npx shoal pull hf:Qwen/Qwen3-0.6B@main                      a branch, a tag or a commit
  npx shoal pull hf:Qwen/Qwen3-0.6B-GGUF/Q8_0                 one quantisation of several, or the name of the file
  npx shoal pull https://example.com/tiny-q8_0.gguf --sha256 <hash>
  npx shoal pull https://example.com/models/minilm/           a folder: the slash at the end says so
  npx shoal pull s3://bucket/models/minilm --to ./minilm

  HF_TOKEN is the token for gated and private models, HF_ENDPOINT another hub than huggingface.co. A bucket is read with
  the credentials that the tools of AWS find; AWS_ENDPOINT_URL_S3 is the URL of another S3. SHOAL_SOURCE_ALLOW are private
  networks that a redirect may lead to. Ctrl-C keeps what has come, and the same command goes on with it, where the source
  tells versions of a file apart: it says so. Pickles and code are left where they are.`,
  import: `Examples:
  npx shoal import hf:sentence-transformers/all-MiniLM-L6-v2  pulled first; "npx shoal help pull" tells what it takes
  npx shoal import ~/models/all-MiniLM-L6-v2
  npx shoal import ~/models/all-MiniLM-L6-v2 --name minilm --dtype fp32,int8 --report

  docs/importing-models.md tells which models there are, docs/precision.md which dtype fits.`,
  run: `Examples:
  npx shoal run wordnet-lm                                           a conversation; /help tells its commands
  npx shoal run wordnet-lm 'Define otter (noun).'                    one answer
  npx shoal run ./my-model --max-tokens 40 --stop . < prompts.txt    one answer to each line
  npx shoal run wordnet-lm --temperature 0.8 --seed 7 'Define otter (noun).'

  Without an option for it, tokens are chosen as the model's generation_config.json says; where that says nothing, always
  the likeliest. --top-p, --top-k, --min-p and --seed stand for --temperature 1 then. In a conversation "/set" changes
  the same settings, Ctrl-C stops an answer, and a second one ends the program.`,
  evaluate: `Examples:
  npx shoal evaluate topics topics:int8 --data labelled.jsonl
  npx shoal evaluate topics@1 topics@2 --data labelled.csv --max-loss 0.5%
  npx shoal evaluate topics:fp32 topics:int8 --data labelled.jsonl --keep --json

  The file has a text a line, {"text": "..."} with or without a "label"; {"query", "document"} pairs; graded rankings; or
  entities: docs/optimizing.md has them all. Half of it is what the verdict is by. Exit codes: 0 where the candidate passes, 2 where
  it is refused, 1 where something is wrong with what was asked for.`,
  optimize: `Examples:
  npx shoal optimize wordnet-topic --data labelled.jsonl
  npx shoal optimize wordnet-topic --data labelled.jsonl --max-loss 0.5% --time 2h
  npx shoal optimize wordnet-topic --data labelled.jsonl --methods int8,int4 --plan
  SHOAL_TEACHER_KEY=<its key> npx shoal optimize wordnet-topic --data texts.jsonl --teacher https://shoal.example.com

  What is tried and how it ended is kept in SHOAL_DATA_DIR: Ctrl-C, and the same command goes on where it was. The report,
  optimize/<name>@<version>/report.html there, can be read while it runs. What passes is served as name:int8 within seconds;
  requests that ask for no variant get what they got before. docs/optimizing.md tells more.`,
  tune: `Examples:
  npx shoal tune wordnet-topic
  npx shoal tune wordnet-lm:int8 --time 10m --rounds 100

  It measures on this machine as it is: beside what else runs there, so best while that is what it will be. What beats the
  defaults for sure is kept in SHOAL_CACHE_DIR, for this model, processor, number of cores and runtime; workers that load the
  model after that take it, and log model.tuned. SHOAL_INTRA_OP_THREADS, SHOAL_CONCURRENT_RUNS and SHOAL_GENERATION_THREADS go
  before it, as limits in shoal.json do. docs/tuning.md tells what is tried, and how.`,
  predict: `Examples:
  npx shoal predict wordnet-topic 'a large fish'
  npx shoal predict wordnet-topic --parameters '{"top_k": 1}' < texts.txt     one answer to each line
  npx shoal predict wordnet-embed --file texts.csv --column title --json > vectors.jsonl
  npx shoal predict my-reranker --query 'What do fish breathe with?' < documents.txt | sort -rn
  npx shoal predict wordnet-lm 'Define otter (noun).'                         shown as it grows
  npx shoal predict wordnet-topic --url https://shoal.example.com --key-file ~/.shoal-key 'a large fish'

  To a model that chats each text is said, as in a conversation; --complete has it go on with the text instead.
  A key is read from SHOAL_KEY or a file, never from the command line. Many inputs make jobs of up to 64, several of them
  under way at once; the jobs are deleted once their answers are read. Ctrl-C cancels what is under way. Without --json a
  vector is shown by its first values, and labels by the best three; an input that has no answer begins with "!".

  Exit codes: 0 where every input has its answer; 1 where what was asked for is wrong or the server cannot answer, and at the
  first input that is refused; 2 where a job failed, and with --keep-going where an input has no answer.`,
  jobs: `Examples:
  npx shoal jobs ls --status queued
  npx shoal jobs get <id> --wait
  npx shoal jobs follow <id>
  npx shoal jobs ls --status queued --all --quiet | xargs -r npx shoal jobs cancel

  They ask the API on this machine (PORT, SHOAL_HOST), or that of --url or SHOAL_URL, with the key of --key-file or SHOAL_KEY.
  Exit codes: 0; 1 where what was asked for is wrong or the server cannot answer; 2 where the job that was asked for, or an
  input of it, has failed, or was cancelled, expired or deleted.`,
  models: `Examples:
  npx shoal models ls
  npx shoal models unload wordnet-topic@1
  npx shoal models rm wordnet-topic@1

  They ask the API on this machine (PORT, SHOAL_HOST) or that of SHOAL_URL, with SHOAL_KEY, but for rm, which deletes in SHOAL_MODELS_DIR. A folder that is put
  there is served within seconds: models/<name>/<version>/ with onnx/model.onnx or model.onnx, and for texts the tokenizer's
  files; versions are whole numbers. "npx shoal import" makes one of a checkpoint or a GGUF file, wherever that lies.`,
  fetchModel: `Example:
  npx shoal fetch-model --url https://example.com/bge-small-1.tar.gz --sha256 <hash> --to models/bge-small/1

  A download that was cut off goes on where it was; doing it again does nothing.`,
} as const;
