"""The tables of the ledger, and what else has a name and a unit for people."""

from results.schema.column import Column, key, metric
from results.schema.runs import (
    COST,
    CREATED_AT,
    ENDED_AT,
    ENERGY,
    FAMILY,
    FORWARD_MACS,
    LABEL,
    PARAMS,
    PEAK_MEMORY,
    RUN_ID,
    RUNS,
    SOFTWARE,
    STUDY,
)

# The causes of an end: the attempt's own (done; failed: a user's error, a non-finite loss),
# a person's (killed), the scheduler's (preempted, timeout), the machine's (the others).
ENDED = "done, failed, killed, preempted, timeout, lost, out_of_memory or hang"

EVALS = (
    STUDY,
    RUN_ID,
    key("protocol", "text", "", "upstream, finetune, fewshot, linear or knn"),
    key("dataset", "text", "", "name of the data set"),
    key("split", "text", "", "split that was evaluated"),
    key("metric", "text", "", "what was measured: top1_accuracy, top5_accuracy, loss"),
    Column("value", "float", "of the metric", "accuracies are fractions, losses nats"),
    Column("num_examples", "int", "images", "images evaluated on"),
    key("shots", "int", "images per class", "training images per class of fewshot", False),
    key("seed", "int", "", "seed of the subset or of the fine-tuning", False),
    key("lr", "float", "", "learning rate of finetune", False),
    key("step", "int", "steps", "updates the evaluated weights had", False),
    key("image_size", "int", "pixels", "side of the images evaluated on", False),
    key("manifest", "text", "", "id of the list of images used to adapt", False),
    key("neighbours", "int", "images", "nearest training images of knn", False),
    key("settings", "text", "", "settings of the protocol, and what it chose from", False),
    Column("strength", "float", "", "L2 term that linear chose, of a mean loss"),
    Column("transfer_flops", "float", "FLOPs", "training for this evaluation"),
    Column("search_flops", "float", "FLOPs", "training to choose its settings"),
)

CURVE = (
    STUDY,
    RUN_ID,
    key("attempt", "int", "", "attempt that made the step, from 1"),
    key("step", "int", "steps", "updates so far"),
    Column("examples_seen", "int", "images", "images so far, each counted every time"),
    Column("train_flops", "float", "FLOPs", "training FLOPs so far"),
    Column("train_seconds", "float", "seconds", "training seconds so far, over all attempts"),
    Column("loss", "float", "nats", "mean training loss since the last row"),
    Column("lr", "float", "", "learning rate of the last step"),
    Column("grad_norm", "float", "", "global gradient norm before clipping"),
    Column("images_per_second", "float", "images/s", "throughput since the last row"),
)

ATTEMPTS = (
    STUDY,
    RUN_ID,
    key("attempt", "int", "", "number of the attempt, from 1"),
    Column("state", "text", "", "running, done, failed or cancelled", True),
    Column("ended", "text", "", ENDED),
    Column("reason", "text", "", "why it ended so"),
    Column("cluster", "text", "", "local or slurm"),
    Column("job_id", "text", "", "the scheduler's id of the job"),
    Column("hosts", "text", "", "hosts, separated by commas"),
    Column("device", "text", "", "name of the accelerator"),
    Column("num_devices", "int", "devices", "accelerators used"),
    Column("micro_batch_size", "int", "images", "images per device and forward pass"),
    Column("from_examples", "int", "images", "examples seen when it began"),
    Column("to_examples", "int", "images", "examples seen when it ended"),
    *COST,
    ENERGY,
    PEAK_MEMORY,
    *SOFTWARE,
    CREATED_AT,
    ENDED_AT,
)

THROUGHPUT = (
    key("model", "text", "", "id in the registry of models"),
    LABEL,
    FAMILY,
    PARAMS,
    key("image_size", "int", "pixels", "side of the square images"),
    key("mode", "text", "", "train (with the update) or infer"),
    key("precision", "text", "", "fp32 or bf16"),
    key("compiled", "bool", "", "whether torch.compile was used"),
    key("device", "text", "", "name of the accelerator, or of the CPU"),
    key("num_threads", "int", "", "threads of torch on the CPU"),
    key("batch_size", "int", "images", "images per step"),
    Column("fits", "bool", "", "whether the step had enough memory"),
    Column("num_steps", "int", "steps", "steps measured after the warm-up"),
    Column("step_seconds", "float", "seconds", "median of a step"),
    Column("step_seconds_low", "float", "seconds", "a quarter of the steps are faster"),
    Column("step_seconds_high", "float", "seconds", "a quarter of the steps are slower"),
    Column("images_per_second", "float", "images/s", "batch_size / median step"),
    Column("peak_memory_bytes", "int", "bytes", "peak memory allocated on the accelerator"),
    FORWARD_MACS,
    Column("model_flops_utilization", "float", "fraction", "model FLOPs over time x dense peak"),
    *SOFTWARE,
    key("created_at", "time", "UTC", "when it was measured"),
)

# The tables of a study, and what is measured outside of one.
STUDY_TABLES: dict[str, tuple[Column, ...]] = {
    "runs": RUNS,
    "evals": EVALS,
    "curve": CURVE,
    "attempts": ATTEMPTS,
}
TABLES = STUDY_TABLES | {"throughput": THROUGHPUT}

# Columns that no table of the ledger has: those of scores in long form (`results.columns.scores`)
# and the metrics of published tables (`results.published`).
OTHERS = (
    Column("pretrain_dataset", "text", "", "data set of the run", title="pre-training set"),
    metric("average_of_five_accuracy", "fraction", "mean of five", title="average of five"),
    metric("imagenet_accuracy", "fraction", "top-1 on ImageNet", title="ImageNet top-1"),
    metric("imagenet_real_accuracy", "fraction", "top-1, ReaL labels", title="ImageNet ReaL"),
    metric("cifar10_accuracy", "fraction", "top-1 on CIFAR-10", title="CIFAR-10"),
    metric("cifar100_accuracy", "fraction", "top-1 on CIFAR-100", title="CIFAR-100"),
    metric("pets_accuracy", "fraction", "mean per class on Oxford-IIIT Pets", title="Pets"),
    metric("flowers_accuracy", "fraction", "top-1 on Oxford Flowers-102", title="Flowers"),
)
