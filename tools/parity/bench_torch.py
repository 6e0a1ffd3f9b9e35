"""How fast PyTorch trains T5 v1.1 small on this machine's CPU: what Cadre's own benchmark is compared with. See README.md.

Every run is a fresh process: full training (transformers' Adafactor), ELM bottleneck adapters (AdamW), LoRA (AdamW); each in float32 eager, float32 with
torch.compile (forward and backward; the optimizer step stays eager) and bfloat16 autocast.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True

RUNS = ("full", "bottleneck", "lora")
MODES = ("eager", "compile", "bf16")
SMALL = {
    "model": dict(vocab_size=32128, d_model=512, d_kv=64, num_heads=6, d_ff=1024, num_layers=8, num_decoder_layers=8),
    "batch": 8, "encoderLength": 512, "decoderLength": 128, "bottleneck": 16, "rank": 16, "gemmSizes": [512, 1024, 2048],
}  # fmt: skip
SMOKE = {
    "model": dict(vocab_size=256, d_model=32, d_kv=8, num_heads=2, d_ff=64, num_layers=2, num_decoder_layers=2),
    "batch": 2, "encoderLength": 32, "decoderLength": 8, "bottleneck": 4, "rank": 4, "gemmSizes": [128],
}  # fmt: skip


def flops_per_step(setting, frozen):
    """2 per multiply-add: forward, input gradients, and weight gradients unless frozen; adapters, embeddings and recomputation not counted."""
    m = setting["model"]
    inner = m["d_kv"] * m["num_heads"]
    source, target = setting["encoderLength"], setting["decoderLength"]
    encoder, decoder = setting["batch"] * source, setting["batch"] * target
    projection, feed_forward = m["d_model"] * inner, 3 * m["d_model"] * m["d_ff"]
    weights = m["num_layers"] * encoder * (4 * projection + feed_forward)
    weights += m["num_decoder_layers"] * (decoder * (6 * projection + feed_forward) + encoder * 2 * projection)
    weights += decoder * m["d_model"] * m["vocab_size"]
    # Scores and weighted values: a product of two activations, each of which needs a gradient.
    attention = m["num_layers"] * 2 * encoder * source * inner
    attention += m["num_decoder_layers"] * 2 * decoder * (target + source) * inner
    return 2 * (weights * (2 if frozen else 3) + attention * 3)


def new_model(setting, run, attention):
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    from bottleneck import add_bottleneck_adapters

    config = T5Config(
        **setting["model"], feed_forward_proj="gated-gelu", tie_word_embeddings=False, dropout_rate=0.1, decoder_start_token_id=0, use_cache=False
    )
    config._attn_implementation = attention
    model = T5ForConditionalGeneration(config)
    # transformers 5 ties the head of every new T5; version 1.1 has a head of its own.
    model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.lm_head.weight) * config.d_model**-0.5)
    if run == "full":
        from transformers.optimization import Adafactor

        return model, Adafactor(model.parameters(), lr=1e-3, scale_parameter=False, relative_step=False, warmup_init=False)
    if run == "bottleneck":
        model = add_bottleneck_adapters(model, setting["bottleneck"])
    else:
        from peft import LoraConfig, get_peft_model

        rank = setting["rank"]
        model = get_peft_model(model, LoraConfig(r=rank, lora_alpha=rank, target_modules=["q", "k", "v", "o"], task_type="SEQ_2_SEQ_LM"))
    return model, torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)


def peak_memory():
    """The most memory this process ever held. Linux keeps a parent's peak in getrusage across exec, so /proc comes first."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def train(options, setting, run, mode):
    import peft  # noqa: F401 (imported before memory is first read)
    import torch
    from transformers import T5ForConditionalGeneration, optimization  # noqa: F401

    torch.manual_seed(0)
    imported = peak_memory()
    model, optimizer = new_model(setting, run, options.attention)
    model.train()
    compiled = torch.compile(model) if mode == "compile" else model
    ids = lambda length: torch.randint(2, setting["model"]["vocab_size"], (setting["batch"], length))
    input_ids, labels = ids(setting["encoderLength"]), ids(setting["decoderLength"])
    attention_mask = torch.ones_like(input_ids)

    seconds, losses = [], []
    for _ in range(options.warmup + options.steps):
        started = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=mode == "bf16"):
            loss = compiled(input_ids=input_ids, attention_mask=attention_mask, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        seconds.append(time.perf_counter() - started)

    timed = sorted(seconds[options.warmup :])
    step, flops = median(timed), flops_per_step(setting, frozen=run != "full")
    return {
        "run": run,
        "mode": mode,
        "stepSeconds": step,
        "fastestStepSeconds": timed[0],
        "slowestStepSeconds": timed[-1],
        "warmupSeconds": seconds[: options.warmup],
        "tokensPerSecond": input_ids.numel() / step,
        "gflopPerStep": flops / 1e9,
        "gflops": flops / 1e9 / step,
        "peakRssBytes": peak_memory(),
        "importedRssBytes": imported,
        "parameters": sum(p.numel() for p in model.parameters()),
        "trainedParameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "losses": losses,
    }


def median(ordered):
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def gemm_peak(setting):
    """The best rate of several square float32 products, each repeated for a second and at least five times."""
    import torch

    rates = {}
    for size in setting["gemmSizes"]:
        a, b = torch.randn(size, size), torch.randn(size, size)
        seconds = []
        while len(seconds) < 5 or sum(seconds) < 1:
            started = time.perf_counter()
            torch.mm(a, b)
            seconds.append(time.perf_counter() - started)
        rates[str(size)] = 2 * size**3 / min(seconds) / 1e9
    return {
        "gemmPeakGflops": max(rates.values()),
        "gemmGflops": rates,
        "versions": {"torch": torch.__version__, "python": platform.python_version(), **versions("transformers", "peft")},
        "cpuCapability": torch.backends.cpu.get_cpu_capability(),
        "processor": processor(),
    }


def versions(*packages):
    from importlib.metadata import version

    return {package: version(package) for package in packages}


def processor():
    cpuinfo = Path("/proc/cpuinfo")
    names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")] if cpuinfo.exists() else []
    return names[0] if names else platform.processor()


def child(options, setting):
    import torch

    torch.set_num_threads(options.threads)
    result = gemm_peak(setting) if options.child == "gemm" else train(options, setting, *options.child.split("/"))
    Path(options.result).write_text(json.dumps(result))


def in_child(options, what):
    """The result of one run in a process of its own, or its error."""
    import tempfile

    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [sys.executable, __file__, "--child", what, "--result", file.name, "--steps", str(options.steps), "--warmup", str(options.warmup)]
        command += ["--threads", str(options.threads), "--attention", options.attention] + (["--smoke"] if options.smoke else [])
        environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads), "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
        process = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        text = Path(file.name).read_text()
        return json.loads(text) if process.returncode == 0 else {"error": process.stderr.strip().splitlines()[-1:] or [f"exit {process.returncode}"]}


def main():
    listed = lambda allowed: lambda text: [check_name(name, allowed) for name in text.split(",")]
    parser = argparse.ArgumentParser(description="Times PyTorch training T5 v1.1 small on the CPU.", allow_abbrev=False)
    parser.add_argument("--runs", type=listed(RUNS), default=list(RUNS), help=f"of {','.join(RUNS)}")
    parser.add_argument("--modes", type=listed(MODES), default=list(MODES), help=f"of {','.join(MODES)}")
    parser.add_argument("--steps", type=int, default=10, help="timed steps a run; the median counts")
    parser.add_argument("--warmup", type=int, default=3, help="steps before the timed ones (torch.compile compiles in them)")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--attention", choices=("sdpa", "eager"), default="sdpa", help="transformers' attention implementation")
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument("--smoke", action="store_true", help="a tiny model: only shows that everything runs")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--result", help=argparse.SUPPRESS)
    options = parser.parse_args()
    setting = SMOKE if options.smoke else SMALL
    if options.child:
        return child(options, setting)

    report = {"setting": setting, "smoke": options.smoke, "threads": options.threads, "attention": options.attention, "steps": options.steps}
    report |= in_child(options, "gemm") | {"runs": []}
    print(f"{report.get('processor', report.get('error'))}, {options.threads} threads, float32 GEMM peak {report.get('gemmPeakGflops', 0):.0f} GFLOP/s")
    print(f"{'run':11}{'mode':9}{'s/step':>9}{'tokens/s':>11}{'GFLOP/s':>10}{'peak GB':>9}")
    for run in options.runs:
        for mode in options.modes:
            result = in_child(options, f"{run}/{mode}")
            report["runs"].append({"run": run, "mode": mode, **result})
            if "error" in result:
                print(f"{run:11}{mode:9}failed: {result['error'][0]}")
            else:
                figures = f"{result['stepSeconds']:9.3f}{result['tokensPerSecond']:11.0f}{result['gflops']:10.1f}{result['peakRssBytes'] / 1e9:9.2f}"
                print(f"{run:11}{mode:9}{figures}", flush=True)
            if options.json:
                options.json.write_text(json.dumps(report, indent=2) + "\n")
    return 1 if any("error" in result for result in report["runs"]) else 0


def check_name(name, allowed):
    if name not in allowed:
        raise argparse.ArgumentTypeError(f"{name!r}: expected some of {','.join(allowed)}")
    return name


if __name__ == "__main__":
    sys.exit(main())
