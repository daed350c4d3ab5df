"""python -m oxillama.embedded.train: train the demonstration model from a seed, and print its held-out scores.

To continue an interrupted run, start it again with the same --work: it resumes at its latest checkpoint. To continue a
finished run, give more --steps. Needs the extra `train` (PyTorch). The network is larger than the one in the package,
which was trained by an earlier version of this script (MODEL_CARD.md).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

# Waiting threads must not spin: on a shared machine they take the processor from threads that work.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, distributed

from oxillama.embedded import MODEL_NAME
from oxillama.embedded.chat import render
from oxillama.embedded.data.conversations import stream
from oxillama.embedded.learning import vocabulary
from oxillama.embedded.learning.batches import Batch, all_batches
from oxillama.embedded.learning.copying import COPYING_BLOCK, PREVIOUS_BLOCK, same_words
from oxillama.embedded.learning.drills import drill, drillable
from oxillama.embedded.learning.export import write_gguf
from oxillama.embedded.learning.grow import grown
from oxillama.embedded.learning.network import Llama, hint_loss
from oxillama.embedded.shape import Shape

WARM_UP = 20
NS_STEPS = 4  # of Muon's iteration: each takes as long as a twelfth of the gradients
HINTS = 0.5  # how much hints for attention count at first, beside the loss
BF16 = bool(torch.cpu._is_avx512_bf16_supported())  # on other CPUs bfloat16 is many times slower
VOCABULARY_CHUNK = 1_000_000  # the vocabulary is learnt from this chunk, which training never reaches
VOCABULARY_TEXTS = 30_000


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m oxillama.embedded.train", description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("build/embedded"), help="checkpoints and the vocabulary")
    out = Path(__file__).with_name(f"{MODEL_NAME}.gguf")
    parser.add_argument("--out", type=Path, default=out, help="the GGUF file")
    parser.add_argument("--grow", type=Path, default=None, help="begin with the weights of this GGUF file, made larger")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=6800)
    parser.add_argument("--decay", type=float, default=0.25, help="share of the steps in which the rate falls")
    parser.add_argument("--batch-tokens", type=int, default=1536)
    parser.add_argument(
        "--batches", type=int, default=2, help="of them in a step, of different lengths of conversations"
    )
    parser.add_argument("--drill-tokens", type=int, default=512, help="tokens of each step that are drills in copying")
    parser.add_argument(
        "--hints", type=int, default=1000, help="the step from which attention gets no hints for copying"
    )
    parser.add_argument("--lr", type=float, default=4e-3)
    parser.add_argument("--save-every", type=int, default=50, help="steps between checkpoints")
    parser.add_argument("--compile", action="store_true", help="compile the blocks: a third faster, after minutes")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="each with a thread and its own batches")
    parser.add_argument("--no-evaluate", action="store_true", help="do not score the result")
    return parser.parse_args(argv)


def load_vocabulary(work: Path, seed: int, shape: Shape) -> Any:
    """The tokenizer of this seed. The first run learns it and saves it in `work`."""
    path = work / "tokenizer.json"
    if not path.exists():
        texts = (render(*conversation) for conversation in stream(seed, VOCABULARY_CHUNK, VOCABULARY_TEXTS))
        tokenizer = vocabulary.learn(texts, shape.n_vocab)
        temporary = path.with_suffix(".tmp")
        vocabulary.save(tokenizer, temporary)
        os.replace(temporary, path)
    return vocabulary.load(path)


class Optimizers:
    """Muon for the blocks' matrices, which reaches the same loss in about half the steps, and AdamW for the rest.

    Each process steps its share of the matrices; `share_matrices` gives it the others.
    """

    def __init__(self, model: Llama, lr: float, rank: int = 0, processes: int = 1) -> None:
        matrices = [p for name, p in model.named_parameters() if p.dim() == 2 and name.startswith("blk.")]
        others = [p for name, p in model.named_parameters() if p.dim() != 2 or not name.startswith("blk.")]
        self.lr = lr
        self.matrices, self.own = matrices, matrices[rank::processes]
        self.all: list[torch.optim.Optimizer] = [
            torch.optim.Muon(self.own, lr=lr, weight_decay=0.02, adjust_lr_fn="match_rms_adamw", ns_steps=NS_STEPS),
            torch.optim.AdamW(others, lr=lr, betas=(0.9, 0.95), weight_decay=0.0),
        ]

    def share_matrices(self) -> None:
        """Give every process the matrices that others have stepped."""
        if len(self.own) < len(self.matrices):
            own = {id(p) for p in self.own}
            flat = torch.cat([(p if id(p) in own else torch.zeros_like(p)).detach().flatten() for p in self.matrices])
            distributed.all_reduce(flat)
            with torch.no_grad():
                for p, part in zip(self.matrices, flat.split([p.numel() for p in self.matrices]), strict=True):
                    p.copy_(part.view_as(p))

    def step(self, share: float) -> None:
        """Take one step with `share` of the full learning rate."""
        for optimizer in self.all:
            for group in optimizer.param_groups:
                group["lr"] = self.lr * share
            optimizer.step()
        self.share_matrices()

    def state(self) -> list[dict[str, Any]]:
        return [optimizer.state_dict() for optimizer in self.all]

    def restore(self, states: list[dict[str, Any]]) -> None:
        for optimizer, state in zip(self.all, states, strict=True):
            optimizer.load_state_dict(state)


def rate(step: int, steps: int, decay: float) -> float:
    """The share of the full learning rate: linear warm-up, then constant, then linear decay to zero.

    decay: the share of the steps in which the rate falls.
    """
    return min(1.0, (step + 1) / WARM_UP, max(0.0, (steps - step) / max(1.0, steps * decay)))


def loss_of(model: Llama, batch: Batch, device: torch.device) -> Tensor:
    """The sum of the negative log-likelihoods of the tokens to learn, in nats."""
    ids, learnt = (torch.from_numpy(part).to(device) for part in batch)
    with torch.autocast(device.type, torch.bfloat16, enabled=BF16 or device.type == "cuda"):
        logits = model(ids[:, :-1], learnt)
    return F.cross_entropy(logits.float(), ids[:, 1:][learnt], reduction="sum")


def save_checkpoint(path: Path, state: Any) -> None:
    """Write a checkpoint atomically."""
    temporary = path.with_suffix(".tmp")
    torch.save(state, temporary)
    os.replace(temporary, path)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C end training without a traceback. The next run resumes at the latest checkpoint."""
    try:
        yield
    except KeyboardInterrupt:
        raise SystemExit("interrupted; run the same command to continue from the latest checkpoint") from None


def share_gradients(model: Llama, processes: int) -> None:
    """Give every process the mean of all processes' gradients."""
    if processes > 1:
        flat = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        distributed.all_reduce(flat)
        parts = (flat / processes).split([p.numel() for p in model.parameters()])
        for p, part in zip(model.parameters(), parts, strict=True):
            p.grad = part.view_as(p)


def worker(rank: int, args: argparse.Namespace, shape: Shape, port: int) -> None:
    """One of several processes that train the same network on different batches."""
    address = f"tcp://127.0.0.1:{port}"
    distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=args.processes)
    train(args, shape, rank)
    distributed.destroy_process_group()


def train(args: argparse.Namespace, shape: Shape, rank: int = 0) -> None:
    """Train up to the last checkpoint. On a shared machine, processes of one thread lose less than threads do."""
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    tokenizer = load_vocabulary(args.work, args.seed, shape)
    model = Llama(shape).to(device)
    optimizers = Optimizers(model, args.lr, rank, args.processes)
    path, momenta = args.work / "checkpoint.pt", args.work / f"momenta-{rank}-of-{args.processes}.pt"
    step = chunk = at = seen = 0
    if path.exists():
        state = torch.load(path, map_location=device, weights_only=True)
        if state["shape"] != shape.as_dict() or state["seed"] != args.seed:
            raise SystemExit(f"{path} has another shape or seed: give another --work")
        model.load_state_dict(state["model"])
        if momenta.exists():  # there are none after a run with another number of processes
            optimizers.restore(torch.load(momenta, map_location=device, weights_only=True))
        step, chunk, at, seen = state["step"], state["chunk"], state["at"], state["seen"]
        print(f"continuing from step {step}", flush=True)
    elif args.grow:
        weights = {name: torch.from_numpy(array) for name, array in grown(args.grow, tokenizer, shape).items()}
        new = model.load_state_dict(weights, strict=False).missing_keys
        for name, p in model.named_parameters():
            if name in new and name.endswith(("attn_output.weight", "ffn_down.weight")):
                torch.nn.init.zeros_(p)
        print(f"begins with {args.grow}, made larger", flush=True)
    seed = args.seed + 1000 * rank
    batches = all_batches(tokenizer, seed, args.batch_tokens, shape.n_ctx, chunk + (rank > 0), 0 if rank else at)
    started, seen_before = time.monotonic(), seen
    losses: deque[float] = deque(maxlen=50)
    hinted: deque[float] = deque([0.0], maxlen=50)
    same, drilled = same_words(tokenizer, shape.n_vocab), drillable(tokenizer)
    if args.compile:
        for block in model.blk:
            block.compile(dynamic=True)
    while step < args.steps:
        part = [next(batches) for _ in range(args.batches)]
        chunk, i, _ = part[-1]
        found = [batch for _, _, batch in part]
        if args.drill_tokens:
            found.append(drill(drilled, seed, step, args.drill_tokens))
        hints = HINTS * max(0.0, 1 - step / max(1, args.hints))
        for number in (PREVIOUS_BLOCK, COPYING_BLOCK):
            model.blk[number].watched = hints > 0
        model.zero_grad(set_to_none=True)
        count = sum(int(learnt.sum()) for _, learnt in found)
        total = 0.0
        for batch in found:
            loss = loss_of(model, batch, device) / count
            total += loss.item()
            if hints > 0:
                scores = model.blk[PREVIOUS_BLOCK].scores, model.blk[COPYING_BLOCK].scores
                hint = hint_loss(scores, same[batch[0]], batch[1])
                loss = loss + hints * hint / len(found)
                hinted.append(hint.item())
            loss.backward()
            seen += batch[0].size * args.processes
        share_gradients(model, args.processes)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizers.step(rate(step, args.steps, args.decay))
        step, at = step + 1, i + 1
        losses.append(total)
        if rank == 0 and (step % 10 == 0 or step == args.steps):
            speed = (seen - seen_before) / (time.monotonic() - started)
            mean = sum(losses) / len(losses)
            hint_mean = sum(hinted) / len(hinted)
            what = f"step {step}/{args.steps}  loss {mean:.4f}  hints {hint_mean:.3f}  {seen / 1e6:.2f} M tokens"
            print(f"{what}  {speed:.0f} tokens/s", flush=True)
        if step % args.save_every == 0 or step == args.steps:
            save_checkpoint(momenta, optimizers.state())
        if rank == 0 and (step % args.save_every == 0 or step == args.steps):
            save_checkpoint(path, {
                "shape": shape.as_dict(), "seed": args.seed, "model": model.state_dict(), "seen": seen,
                "step": step, "chunk": chunk, "at": at,
            })  # fmt: skip


def export(args: argparse.Namespace, shape: Shape) -> None:
    """Write the latest checkpoint as a GGUF file."""
    model = Llama(shape)
    model.load_state_dict(torch.load(args.work / "checkpoint.pt", map_location="cpu", weights_only=True)["model"])
    weights = {name: p.detach().float().numpy() for name, p in model.named_parameters()}
    write_gguf(args.out, weights, load_vocabulary(args.work, args.seed, shape), shape)
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.2f} MB", flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    args = arguments(argv)
    shape = Shape()
    args.work.mkdir(parents=True, exist_ok=True)
    load_vocabulary(args.work, args.seed, shape)
    with interruptible():
        if args.processes > 1:
            torch.multiprocessing.spawn(worker, (args, shape, free_port()), args.processes)
        else:
            train(args, shape)
    export(args, shape)
    if not args.no_evaluate:
        from oxillama.embedded.evaluate import main as evaluate

        evaluate(["--model", str(args.out)])


if __name__ == "__main__":
    main()
