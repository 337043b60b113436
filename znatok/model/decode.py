"""Greedy decoding of a batch with one fixed cache, through the layers that training runs.

transformers' `generate` copies the whole cache at every token, twice: once to append to it, once to repeat grouped
heads. Here keys and values are written into place and grouped heads are never repeated. Rows begin at place 0 of the
cache and each is as far as it is; a row that ended gives its place to the last one. On a GPU a token of all rows is one
recorded graph, and the host looks at what was written every few tokens only.

Of one row it may be guessed what it will say: the table's answers are what it was taught. Then a guess is read in one
pass, and as much of it kept as the model would have written itself.
Source of the idea: Leviathan and others, Fast inference from transformers via speculative decoding, 2023.

Legend as in `engine`; T cache places, C tokens written between two looks.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from znatok.model.attention import attend
from znatok.model.engine import Engine, Places
from znatok.model.joint import COLUMNS, by_onednn
from znatok.model.loss import CHUNK

TOGETHER = 8
"""Tokens written between two looks on a GPU. A row that ended meanwhile has written a few for nothing."""

PREFILLED = {"cpu": 1024, "cuda": 8192}
"""Prompt tokens, padding included, that are read in one pass: on a CPU less padding is worth more than fewer passes."""

SMALLEST_SPAN = 128
"""Cache places that a recorded step looks at are this many, doubled as often as it takes."""

SPAN_STEP = 32
"""Where oneDNN multiplies, a step looks at a multiple of so many cache places."""

Guess = Callable[[Sequence[int]], Sequence[int]]
"""From the ids of an answer that are written so far to those that may come next; none where nothing is known."""

FIRST_GUESSED = 7
"""Tokens of a guess that are read in the first pass, 8 with the one before them; after each guess that was right twice
as many are read, so that a wrong one costs little."""


def no_guess(_written: Sequence[int]) -> Sequence[int]:
    """Nothing is known."""
    return ()


@torch.no_grad()
def decode(
    desk: "Desk", prompts: Sequence[Sequence[int]], limits: Sequence[int], stop_id: int, adapted: bool
) -> Iterator[tuple[list[int], list[int], list[float]]]:
    """Token by token: the numbers of the rows still going on, the new id of each, and its log-probability.

    A row ends with `stop_id`, which is given out too, or at its limit. Rows that ended leave the batch.
    """
    counts = [0] * len(prompts)
    # Which row stands at each place of the cache; rows of like length are read together.
    places = sorted(range(len(prompts)), key=lambda row: len(prompts[row]))
    going_on = set(places)
    ids_CB, logps_CB = desk.begin([prompts[row] for row in places], adapted)
    while True:
        for ids_B, logps_B in zip(ids_CB, logps_CB, strict=True):
            now = [place for place, row in enumerate(places) if row in going_on]
            yield [places[at] for at in now], [ids_B[at] for at in now], [logps_B[at] for at in now]
            for at in now:
                row = places[at]
                counts[row] += 1
                if ids_B[at] == stop_id or counts[row] >= limits[row]:
                    going_on.discard(row)
            if not going_on:
                return
        places = desk.keep(places, going_on)
        longest = max(limits[row] - counts[row] for row in going_on)
        ids_CB, logps_CB = desk.write(min(desk.together, longest), adapted)


@torch.no_grad()
def decode_guessed(
    desk: "Desk", prompt: Sequence[int], limit: int, stop_id: int, adapted: bool, guess: Guess
) -> Iterator[tuple[int, float]]:
    """The same of one row.

    Every id is still the most probable one, however good the guesses; a row written by single steps may differ
    where two are equally probable but for the rounding of larger products.
    """
    (ids,), (logps,) = desk.begin([prompt], adapted)
    written: list[int] = []
    together = FIRST_GUESSED + 1
    while True:
        for id, logp in zip(ids, logps, strict=True):
            written.append(id)
            yield id, logp
            if id == stop_id or len(written) >= limit:
                return
        left = limit - len(written)
        if guessed := guess(written)[: min(together, left) - 1]:
            ids, logps = desk.check(guessed, adapted)
            together = 2 * together if len(ids) > len(guessed) else FIRST_GUESSED + 1
        else:
            ids_CB, logps_CB = desk.write(min(desk.together, left), adapted)
            ids, logps = [ids_B[0] for ids_B in ids_CB], [logps_B[0] for logps_B in logps_CB]


class Desk:
    """The memory of one decoding at a time: the cache and, on a GPU, recorded steps over it."""

    def __init__(
        self, engine: Engine, rows: int, places: int, together: int | None = None, in_few_sizes: bool | None = None
    ) -> None:
        """together: tokens written between two looks; by itself 1 on a CPU.  in_few_sizes: whether steps are rounded up
        to a few sizes; by itself where something is kept for each."""
        self.engine = engine
        self._is_recorded = engine.device.type == "cuda"
        kept = by_onednn(engine.device, engine.dtype) if in_few_sizes is None else in_few_sizes
        self._in_few_sizes = self._is_recorded or kept
        self.together = together or (TOGETHER if self._is_recorded else 1)
        places += self.together - 1  # a row that ended may write on until the next look
        if self._in_few_sizes:  # on a GPU also so that the next rows find room
            step = SMALLEST_SPAN if self._is_recorded else SPAN_STEP
            rows, places = _rounded(rows), -(-places // step) * step
        self.rows, self.places = rows, places
        layer, device = engine.layers[0], engine.device
        self._heads, self._groups, self._width = layer.key_heads, layer.groups, layer.head
        shape = (rows, layer.key_heads, places, layer.head)
        # Zeros: a step looks at places that no one has written yet, with weight 0.
        self._keys = [torch.zeros(shape, dtype=engine.dtype, device=device) for _ in engine.layers]
        self._values = [torch.zeros(shape, dtype=engine.dtype, device=device) for _ in engine.layers]
        self._turns = [turn[0] for pair in engine.turns(places) for turn in pair]
        self._token_B = torch.zeros(rows, dtype=torch.int64, device=device)
        self._position_B = torch.zeros(rows, dtype=torch.int64, device=device)
        self._start_BK = torch.arange(rows * layer.key_heads, device=device).view(rows, -1) * places
        self._place_T = torch.arange(places, device=device)
        self._ids_CB = torch.zeros(self.together, rows, dtype=torch.int64, device=device)
        self._logps_CB = torch.zeros(self.together, rows, device=device)
        self._slot = torch.zeros(1, dtype=torch.int64, device=device)
        self._now = 0  # rows that are written: those going on, and in few sizes a few more
        self._reached = 0  # places that the longest row has filled
        self._graphs: dict[tuple[int, int, bool], Any] = {}
        self._pool: Any = None

    def holds(self, rows: int, places: int) -> bool:
        """Whether there is room for so many rows that fill so many places."""
        return rows <= self.rows and places + self.together - 1 <= self.places

    def begin(self, prompts: Sequence[Sequence[int]], adapted: bool) -> tuple[list[list[int]], list[list[float]]]:
        """Reads the prompts, the shortest first; the first token of each, and its log-probability."""
        if adapted:
            self.engine.round_adapters()
        most, start = PREFILLED[self.engine.device.type], 0
        for end in range(1, len(prompts) + 1):
            if end == len(prompts) or (end + 1 - start) * len(prompts[end]) > most:
                self._read(prompts[start:end], start, adapted)
                start = end
        self._now, self._reached = self._step_rows(len(prompts)), len(prompts[-1])
        return self._ids_CB[:1, : len(prompts)].tolist(), self._logps_CB[:1, : len(prompts)].tolist()

    def keep(self, places: list[int], going_on: set[int]) -> list[int]:
        """Moves rows that go on to where others ended, once that spares something; which row stands where now."""
        now = self._step_rows(len(going_on))
        if now == self._now:
            return places
        new = places[:now]
        holes = [at for at, row in enumerate(new) if row not in going_on]
        last = [at for at, row in enumerate(places) if at >= now and row in going_on]
        moves = list(zip(last, holes, strict=False))
        for source, target in moves:
            new[target] = places[source]
        if moves:
            source_M, target_M = torch.tensor(moves, device=self.engine.device).t()
            for cache in (*self._keys, *self._values):
                used = cache[:, :, : self._reached]
                used[target_M] = used[source_M]
            for state in (self._token_B, self._position_B):
                state[target_M] = state[source_M]
        self._now = now
        return new

    def write(self, count: int, adapted: bool) -> tuple[list[list[int]], list[list[float]]]:
        """The next tokens of all rows, (C, B), and their log-probabilities."""
        self._slot.zero_()
        for _ in range(count):
            self._reached += 1
            self._step(adapted)
        rows = self._now
        return self._ids_CB[:count, :rows].tolist(), self._logps_CB[:count, :rows].tolist()

    def check(self, guess: Sequence[int], adapted: bool) -> tuple[list[int], list[float]]:
        """The next tokens of the only row, and their log-probabilities: as many of the guess as are right, and the one
        after them."""
        place, count = int(self._position_B[0]), 1 + len(guess)
        in_steps = self._in_few_sizes and not self._is_recorded
        width = min(-(-count // COLUMNS) * COLUMNS, self.places - place) if in_steps else count
        device = self.engine.device
        ids_L = torch.cat([self._token_B[:1], torch.tensor([*guess, *[0] * (width - count)]).to(device)])
        span = min(-(-(place + width) // SPAN_STEP) * SPAN_STEP, self.places) if in_steps else place + width
        turns = [table[None, place : place + width] for table in self._turns]
        places = Places(1, width, (turns[0], turns[1]), (turns[2], turns[3]), adapted)
        is_later_LT = self._place_T[:span] > self._place_T[place : place + width, None]
        bias_LT = torch.zeros(is_later_LT.shape, dtype=self.engine.dtype, device=device)
        bias_ST = bias_LT.masked_fill_(is_later_LT, -torch.inf).repeat(self._groups, 1)

        def mix(number: int, q_BALD: Tensor, k_BKLD: Tensor, v_BKLD: Tensor) -> Tensor:
            self._keys[number][:1, :, place : place + width] = k_BKLD
            self._values[number][:1, :, place : place + width] = v_BKLD
            keys, values = self._keys[number][:1, :, :span], self._values[number][:1, :, :span]
            q_BKSD = q_BALD.reshape(1, self._heads, -1, self._width)
            weights = torch.softmax(torch.matmul(q_BKSD, keys.transpose(2, 3)).add_(bias_ST), -1)
            return torch.matmul(weights, values).view(-1, width, self._width).transpose(0, 1).reshape(width, -1)

        x_LH = self.engine.embed(ids_L)
        for number, layer in enumerate(self.engine.layers):
            x_LH = layer.infer(x_LH, places, partial(mix, number))
        next_L, logp_L = self._most_probable(x_LH[:count])
        ids = next_L.tolist()
        right = next((at for at, (id, one) in enumerate(zip(ids, guess, strict=False)) if id != one), len(guess))
        self._token_B[0] = ids[right]
        self._position_B[0] += right + 1
        self._reached += right + 1
        return ids[: right + 1], logp_L[: right + 1].tolist()

    def _step(self, adapted: bool) -> None:
        if not self._is_recorded:
            step = SPAN_STEP if self._in_few_sizes else 1
            self._advance(self._now, min(-(-self._reached // step) * step, self.places), adapted)
            return
        span = SMALLEST_SPAN
        while span < self._reached:
            span *= 2
        key = (self._now, min(span, self.places), adapted)
        if key not in self._graphs:
            self._graphs[key] = self._record(*key)
        self._graphs[key].replay()

    def _record(self, rows: int, span: int, adapted: bool) -> Any:
        state = (self._token_B, self._position_B, self._slot)
        before = [one.clone() for one in state]
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):  # libraries settle their choices outside of the recording
            self._advance(rows, span, adapted)
        torch.cuda.current_stream().wait_stream(side)
        for one, kept in zip(state, before, strict=True):
            one.copy_(kept)  # what was written to the cache meanwhile will be written there again
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            self._advance(rows, span, adapted)
        self._pool = self._pool or graph.pool()
        return graph

    def _advance(self, rows: int, span: int, adapted: bool) -> None:
        """Takes the last token of each row in, and writes the next; all on the device."""
        token_B, position_B = self._token_B[:rows], self._position_B[:rows]
        cos_q, sin_q, cos_k, sin_k = (table.index_select(0, position_B)[:, None] for table in self._turns)
        places = Places(rows, 1, (cos_q, sin_q), (cos_k, sin_k), adapted)
        is_later_BT = self._place_T[:span] > position_B[:, None]
        bias_BT = torch.zeros(is_later_BT.shape, dtype=self.engine.dtype, device=token_B.device)
        bias_B11T = bias_BT.masked_fill_(is_later_BT, -torch.inf)[:, None, None]
        target_N = (self._start_BK[:rows] + position_B[:, None]).flatten()
        x_BH = self.engine.embed(token_B)
        for number, layer in enumerate(self.engine.layers):
            x_BH = layer.infer(x_BH, places, partial(self._look_back, number, span, target_N, bias_B11T))
        next_B, logp_B = self._most_probable(x_BH)
        self._ids_CB[:, :rows].index_copy_(0, self._slot, next_B[None])
        self._logps_CB[:, :rows].index_copy_(0, self._slot, logp_B[None])
        self._slot.add_(1)
        token_B.copy_(next_B)
        # Rows that ended may go on for a while: they may not leave the cache.
        position_B.add_(1).clamp_(max=self.places - 1)

    def _look_back(
        self,
        number: int,
        span: int,
        target_N: Tensor,
        bias_B11T: Tensor,
        q_BA1D: Tensor,
        k_BK1D: Tensor,
        v_BK1D: Tensor,
    ) -> Tensor:
        """Attention of one new place a row to its cache."""
        rows = len(q_BA1D)
        for cache, new in ((self._keys[number], k_BK1D), (self._values[number], v_BK1D)):
            cache.view(-1, self._width).index_copy_(0, target_N, new.reshape(-1, self._width))
        keys, values = self._keys[number][:rows, :, :span], self._values[number][:rows, :, :span]
        # All query heads of one key head stand under each other: one product a key head, and no copy of the keys.
        q_BKGD = q_BA1D.view(rows, self._heads, self._groups, self._width)
        weights = torch.softmax(torch.matmul(q_BKGD, keys.transpose(2, 3)).add_(bias_B11T), -1)
        return torch.matmul(weights, values).view(rows, -1)

    def _read(self, prompts: Sequence[Sequence[int]], first: int, adapted: bool) -> None:
        """Reads prompts into the cache, from row `first` on, and writes the token after each."""
        engine, width, end = self.engine, max(map(len, prompts)), first + len(prompts)
        if self._in_few_sizes and not self._is_recorded:
            width = min(-(-width // COLUMNS) * COLUMNS, self.places)
        ids_BL = torch.tensor([[*prompt, *[0] * (width - len(prompt))] for prompt in prompts]).to(engine.device)
        length_B = torch.tensor([len(prompt) for prompt in prompts]).to(engine.device)
        places = engine.places(len(prompts), width, adapted)

        def mix(number: int, q_BALD: Tensor, k_BKLD: Tensor, v_BKLD: Tensor) -> Tensor:
            self._keys[number][first:end, :, :width] = k_BKLD
            self._values[number][first:end, :, :width] = v_BKLD
            return attend(q_BALD, k_BKLD, v_BKLD, places.mask_SL, trains=False)[0]

        x_NH = engine.embed(ids_BL).flatten(0, 1)
        for number, layer in enumerate(engine.layers):
            x_NH = layer.infer(x_NH, places, partial(mix, number))
        last_N = torch.arange(len(prompts), device=engine.device) * width + length_B - 1
        next_B, logp_B = self._most_probable(x_NH[last_N])
        self._ids_CB[0, first:end] = self._token_B[first:end] = next_B
        self._logps_CB[0, first:end] = logp_B
        self._position_B[first:end] = length_B

    def _most_probable(self, x_BH: Tensor) -> tuple[Tensor, Tensor]:
        """The most probable next id of each row, and its log-probability."""
        parts = [
            torch.nn.functional.linear(part_BH, self.engine.head_VH).float()
            for part_BH in torch.split(self.engine.last_norm(x_BH), CHUNK)
        ]
        best = [logits_BV.max(-1) for logits_BV in parts]
        logps = [one.values - logits_BV.logsumexp(-1) for one, logits_BV in zip(best, parts, strict=True)]
        return torch.cat([one.indices for one in best]), torch.cat(logps)

    def _step_rows(self, rows: int) -> int:
        """Rows of a step: just those going on, or a few more, so that there are few sizes."""
        return _rounded(rows) if self._in_few_sizes else rows


def room(prompts: Sequence[Sequence[int]], limits: Sequence[int]) -> int:
    """Cache places that the longest row fills."""
    return max(len(prompt) + limit for prompt, limit in zip(prompts, limits, strict=True))


def _rounded(rows: int) -> int:
    """The next of 1, 2, 3, 4, 6, 8, 12, 16, 24 and so on."""
    size = 1
    while size < rows:
        is_power = size & (size - 1) == 0
        size = size * 3 // 2 if is_power and size > 1 else -(-size * 4 // 3)
    return size
