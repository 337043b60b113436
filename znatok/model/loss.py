"""The losses, cross-entropy and divergence, where they are wanted only, a few hundred rows of logits at a time."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 256
"""Positions whose logits exist at once: 256 × 49,152 floats are 50 MB."""


class _AnswerLoss(torch.autograd.Function):
    """The gradient is made in the forward pass, while each chunk's logits are at hand; the head is never trained."""

    @staticmethod
    def forward(
        ctx: Any, hidden_NH: Tensor, head_VH: Tensor, target_N: Tensor, weight_N: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        needs_gradient = ctx.needs_input_grad[0]
        gradient_NH = torch.empty_like(hidden_NH) if needs_gradient else None
        loss_N = torch.empty(len(target_N), dtype=torch.float32, device=hidden_NH.device)
        correct_N = torch.empty(len(target_N), dtype=torch.bool, device=hidden_NH.device)
        # One buffer for all chunks: allocators give blocks of this size back at once, and new pages are dear.
        logits_CV = torch.empty(min(CHUNK, len(target_N)), len(head_VH), device=hidden_NH.device)
        for start in range(0, len(target_N), CHUNK):
            part = slice(start, start + CHUNK)
            target = target_N[part]
            logits = logits_CV[: len(target)]
            if head_VH.dtype is torch.float32:
                torch.mm(hidden_NH[part], head_VH.t(), out=logits)
            else:
                logits.copy_(F.linear(hidden_NH[part], head_VH))
            expected = logits.gather(1, target[:, None]).squeeze(1)
            highest, winner = logits.max(-1, keepdim=True)
            correct_N[part] = winner.squeeze(1) == target
            # Softmax in place, never divided: the sum's reciprocal scales the narrow (N, H) product instead.
            total = logits.sub_(highest).exp_().sum(-1)
            loss_N[part] = total.log() + highest.squeeze(1) - expected
            if gradient_NH is not None:
                pull = (logits.to(head_VH.dtype) @ head_VH).div_(total[:, None])
                gradient_NH[part] = pull - head_VH[target]
        if weight_N is not None and gradient_NH is not None:
            gradient_NH.mul_(weight_N[:, None])
        ctx.save_for_backward(gradient_NH)
        loss = loss_N.sum() if weight_N is None else loss_N @ weight_N
        logp_N = loss_N.neg_()
        ctx.mark_non_differentiable(correct_N, logp_N)
        return loss, correct_N, logp_N

    @staticmethod
    def backward(ctx: Any, *outputs: Any) -> tuple[Tensor, None, None, None]:
        (gradient_NH,) = ctx.saved_tensors
        return gradient_NH * outputs[0].to(gradient_NH.dtype), None, None, None


def answer_loss(
    hidden_NH: Tensor, head_VH: Tensor, target_N: Tensor, weight_N: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The summed cross-entropy of N trained tokens; whether each is the most probable one; and its log-probability.

    Shapes: hidden (N, H) at the positions that predict, head (V, H), target (N,) → scalar float32, (N,) bool, (N,)
    float32. Only the first has a gradient.  weight: (N,) float32, what each token counts in the loss; 1 where absent.
    """
    loss, correct_N, logp_N = _AnswerLoss.apply(hidden_NH, head_VH, target_N, weight_N)  # type: ignore[no-untyped-call]
    return loss, correct_N, logp_N


class _Divergence(torch.autograd.Function):
    """Like `_AnswerLoss`, with the base's whole distribution in the place of one right token."""

    @staticmethod
    def forward(
        ctx: Any, hidden_NH: Tensor, base_NH: Tensor, head_VH: Tensor, weight_N: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        needs_gradient = ctx.needs_input_grad[0]
        gradient_NH = torch.empty_like(hidden_NH) if needs_gradient else None
        kl_N = torch.empty(len(hidden_NH), dtype=torch.float32, device=hidden_NH.device)
        chunk = CHUNK // 4  # two whole distributions and what is made of them exist at once
        for start in range(0, len(hidden_NH), chunk):
            part = slice(start, start + chunk)
            base_CV = F.linear(base_NH[part], head_VH).float().log_softmax(-1)
            tuned_CV = F.linear(hidden_NH[part], head_VH).float().log_softmax(-1)
            p_CV = base_CV.exp()
            kl_N[part] = base_CV.sub_(tuned_CV).mul_(p_CV).sum(-1)
            if gradient_NH is not None:
                # Subtracted before it is rounded: near the base both are almost the same.
                gradient_NH[part] = tuned_CV.exp_().sub_(p_CV).to(head_VH.dtype) @ head_VH
        if weight_N is not None and gradient_NH is not None:
            gradient_NH.mul_(weight_N[:, None])
        ctx.save_for_backward(gradient_NH)
        ctx.mark_non_differentiable(kl_N)
        return kl_N.sum() if weight_N is None else kl_N @ weight_N, kl_N

    @staticmethod
    def backward(ctx: Any, *outputs: Any) -> tuple[Tensor, None, None, None]:
        (gradient_NH,) = ctx.saved_tensors
        return gradient_NH * outputs[0].to(gradient_NH.dtype), None, None, None


def divergence(
    hidden_NH: Tensor, base_NH: Tensor, head_VH: Tensor, weight_N: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """KL(base ‖ tuned) over the whole vocabulary, in nats: summed over N positions, and at each of them.

    Shapes: hidden of the tuned model and of the base (N, H), head (V, H) → scalar float32, (N,) float32. Only the first
    has a gradient, and that for the tuned model.  weight: (N,) float32, what each position counts in the sum.
    """
    kl, kl_N = _Divergence.apply(hidden_NH, base_NH, head_VH, weight_N)  # type: ignore[no-untyped-call]
    return kl, kl_N
