#!/bin/bash

# Parameters
#SBATCH --account=vision
#SBATCH --array=0-2%2
#SBATCH --constraint='h100&ib'
#SBATCH --cpus-per-task=12
#SBATCH --error=STUDY/log/slurm-%A/%A_%a_0_log.err
#SBATCH --exclude='node[07-08]'
#SBATCH --gpus-per-node=8
#SBATCH --job-name=scalestudy
#SBATCH --mail-type=FAIL
#SBATCH --mem=960GB
#SBATCH --nice=100
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=8
#SBATCH --open-mode=append
#SBATCH --output=STUDY/log/slurm-%A/%A_%a_0_log.out
#SBATCH --partition=gpu
#SBATCH --qos=long
#SBATCH --requeue
#SBATCH --reservation=vision
#SBATCH --signal=USR2@90
#SBATCH --time=1440
#SBATCH --wckey=submitit

# setup
export SCALESTUDY_STARTED=$(date +%s)
export SCALESTUDY_END_TIME=$((SCALESTUDY_STARTED + 86400))
module load cuda/12.4
source /opt/site/env.sh
export NCCL_DEBUG=WARN
export PYTHONPATH=STUDY/code/HASH${PYTHONPATH:+:$PYTHONPATH}
export PYTHONSAFEPATH=1

# command
export SUBMITIT_EXECUTOR=slurm
srun --unbuffered --output STUDY/log/slurm-%A/%A_%a_%t_log.out --error STUDY/log/slurm-%A/%A_%a_%t_log.err --kill-on-bad-exit=1 --cpus-per-task=12 PYTHON -u -m submitit.core._submit STUDY/log/slurm-%A


# teardown
PYTHON -m sweeps.jobs.requeue STUDY