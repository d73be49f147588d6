"""The columns of `runs`, and those that other tables share with it."""

from results.schema.column import Column, cost, key, metric, overhead, software, units

_PREFIXES = (
    (1e18, "exa"),
    (1e15, "peta"),
    (1e12, "tera"),
    (1e9, "giga"),
    (1e6, "mega"),
    (1.0, ""),
)
_LETTERS = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1.0, ""))
_DAYS = ((1.0, "days"), (1 / 24, "hours"), (1 / 1440, "minutes"), (1 / 86400, "seconds"))

STUDY = key("study", "text", "", "name of the study")
RUN_ID = key("run_id", "text", "", "readable prefix and hash of what determines the result")
MACS = "multiply-adds per image"
COST = (
    cost(
        "train_seconds",
        "seconds",
        "forward, backward and update, with data waits",
        total="sum",
        rank=1,
    ),
    overhead("eval_seconds", "evaluations during training and at its end"),
    overhead("checkpoint_seconds", "writing and reading checkpoints"),
    overhead("startup_seconds", "from the start of the process to step one"),
)
ENERGY = cost(
    "energy_joules",
    "joules",
    "energy of all accelerators",
    title="energy",
    total="sum",
    display=units("energy ({})", (3.6e6, "kWh"), (3600.0, "Wh"), (1.0, "J")),
    shown=("report",),
    plan="predicted",
)
PEAK_MEMORY = Column(
    "peak_memory_bytes",
    "int",
    "bytes",
    "peak memory allocated on one accelerator",
    role="performance",
    total="max",
    display=units("peak memory ({})", (2.0**30, "GiB"), (2.0**20, "MiB")),
)
SOFTWARE = (
    software("git_commit", "text", "commit of the code that ran", shown=("report",)),
    software("git_dirty", "bool", "whether the code had changes on top of the commit"),
    software("code_hash", "text", "hash of the source files that ran"),
    software("torch_version", "text", "version of PyTorch"),
    software("deepspeed_version", "text", "version of DeepSpeed"),
)
CREATED_AT = Column("created_at", "time", "UTC", "when it began", role="time")
ENDED_AT = Column("ended_at", "time", "UTC", "when it ended", role="time", total="last")
LABEL = Column(
    "label",
    "text",
    "",
    "the paper's spelling of the model",
    title="model",
    role="identity",
    shown=("report",),
)
FAMILY = Column("family", "text", "", "vit, hybrid or bit", role="identity")
PARAMS = Column(
    "params",
    "int",
    "parameters",
    "trainable parameters, head included",
    title="parameters",
    role="size",
    display=((1e6, "params (M)"), (1e3, "params (k)"), (1.0, "params")),
    shown=("table",),
)
FORWARD_MACS = Column(
    "forward_macs_per_image",
    "int",
    MACS,
    "convolutions and matrix products, all taps",
    role="size",
    display=units("forward {}MACs", *_LETTERS),
    shown=("table",),
)

RUNS = (
    STUDY,
    RUN_ID,
    Column(
        "state",
        "text",
        "",
        "missing, queued, running, done, failed or cancelled",
        required=True,
        role="state",
        shown=("report",),
    ),
    Column("failure", "text", "", "why the run failed", role="state"),
    Column("attempts", "int", "attempts", "how often the run was started", role="state"),
    Column("model", "text", "", "id in the registry of models", role="identity"),
    LABEL,
    FAMILY,
    PARAMS,
    Column(
        "image_size",
        "int",
        "pixels",
        "side of the square images the network saw",
        role="scale",
        rank=1,
    ),
    Column(
        "dataset",
        "text",
        "",
        "name of the data set",
        title="data set",
        role="identity",
        shown=("report",),
    ),
    Column("data_manifest", "text", "", "id of the list of training images"),
    Column(
        "train_examples",
        "int",
        "images",
        "different images trained on",
        title="training images",
        role="scale",
        shown=("report",),
    ),
    Column(
        "examples_seen", "int", "images", "images trained on, each counted every time", role="scale"
    ),
    Column(
        "epochs",
        "float",
        "epochs",
        "examples_seen / train_examples",
        role="scale",
        shown=("report",),
    ),
    Column("steps", "int", "steps", "updates of the weights", role="scale"),
    Column("batch_size", "int", "images", "images per update, over all devices"),
    Column("seed", "int", "", "the run's seed", shown=("report",)),
    Column("recipe", "text", "", "optimizer, schedule, augmentation, options of the model"),
    Column(
        "init",
        "text",
        "",
        "what the weights started from, whatever its seed",
        title="initial weights",
    ),
    Column("init_run_id", "text", "", "the run that the weights started from"),
    Column(
        "init_flops",
        "float",
        "FLOPs",
        "training of the initial weights",
        role="scale",
        display=units("initial {}FLOPs", *_PREFIXES),
    ),
    Column(
        "init_examples_seen",
        "int",
        "images",
        "images that the initial weights were trained on",
        role="scale",
    ),
    FORWARD_MACS,
    Column(
        "forward_macs_valid_per_image",
        "int",
        MACS,
        "the same without taps on zero padding",
        role="size",
        display=units("forward {}MACs, valid", *_LETTERS),
    ),
    cost(
        "train_flops",
        "FLOPs",
        "6 x forward_macs_per_image x examples_seen",
        title="training compute",
        display=units("train {}FLOPs", *_PREFIXES),
        shown=("table", "report"),
        plan="computed",
    ),
    cost(
        "train_flops_valid",
        "FLOPs",
        "6 x forward_macs_valid_per_image x examples",
        title="training compute without padding",
        display=units("train {}FLOPs, valid", *_PREFIXES),
        plan="computed",
    ),
    cost(
        "own_flops",
        "FLOPs",
        "train_flops, without the initial weights'",
        title="own training compute",
        display=units("own {}FLOPs", *_PREFIXES),
    ),
    cost(
        "total_flops",
        "FLOPs",
        "own_flops + init_flops",
        title="total training compute",
        display=units("total {}FLOPs", *_PREFIXES),
    ),
    Column(
        "device", "text", "", "name of the accelerator", role="provenance", total="last", rank=1
    ),
    Column("num_devices", "int", "devices", "accelerators of the last attempt", total="last"),
    *COST,
    cost(
        "accelerator_days",
        "days",
        "devices x training seconds / 86400",
        title="accelerator time",
        display=units("accelerator {}", *_DAYS),
        shown=("table", "report"),
        plan="computed",
    ),
    cost("normalized_accelerator_days", "days", "of an A100: x dense peak / 312e12"),
    ENERGY,
    PEAK_MEMORY,
    Column(
        "images_per_second",
        "float",
        "images/s",
        "training throughput over all devices",
        role="performance",
    ),
    Column(
        "model_flops_utilization",
        "float",
        "fraction",
        "train_flops over time x dense peak",
        role="performance",
    ),
    metric(
        "loss", "nats", "cross-entropy on the study's evaluation split", shown=("report",), rank=1
    ),
    metric(
        "top1_accuracy",
        "fraction",
        "top-1 on the study's evaluation split",
        title="top-1",
        shown=("report",),
    ),
    metric("top5_accuracy", "fraction", "top-5 on the study's evaluation split", title="top-5"),
    *SOFTWARE,
    Column("host", "text", "", "first host of the last attempt", role="provenance", rank=1),
    CREATED_AT,
    ENDED_AT,
)
