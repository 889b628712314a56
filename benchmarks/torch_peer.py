"""The reference architecture as public PyTorch code builds a ConvLSTM: what one would write there.

Each step is one convolution of [x, h] side by side; nothing is done ahead for all frames. No peepholes, and
an output convolution that sees one frame ahead over a clip, as in `benchmarks.keras_peer`. Filters, kernels,
normalisation and activations are the reference's. Eager, as such code is run.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from core.model_config import ModelConfig

State = list[tuple[torch.Tensor, torch.Tensor]]


class Cell(nn.Module):
    """One ConvLSTM layer's step."""

    def __init__(self, channels: int, filters: int, side: int) -> None:
        super().__init__()
        self.filters = filters
        self.convolution = nn.Conv2d(channels + filters, 4 * filters, side, padding=side // 2)

    def forward(self, x: torch.Tensor, h: torch.Tensor, c: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        i, f, o, g = torch.split(self.convolution(torch.cat([x, h], dim=1)), self.filters, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


class Network(nn.Module):
    """(batch, time, 1, canvas, canvas) to predictions of the same shape."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        if config.patch != 1:
            raise ValueError(
                f"public networks have no patches; got a configuration with patch {config.patch}"
            )
        channels = (1, *config.filters)
        self.cells = nn.ModuleList(
            Cell(*sizes) for sizes in zip(channels[:-1], config.filters, config.kernels, strict=True)
        )
        self.norms = nn.ModuleList(nn.BatchNorm3d(filters) for filters in config.filters)
        self.head = nn.Conv3d(channels[-1], 1, 3)

    def features(self, frames: torch.Tensor, states: State | None) -> tuple[torch.Tensor, State]:
        """Features (batch, filters, time, canvas, canvas) and the states after the last frame."""
        x, after = frames, []
        for n, (cell, norm) in enumerate(zip(self.cells, self.norms, strict=True)):
            batch, _, _, height, width = x.shape
            if states is None:
                h = c = x.new_zeros(batch, cell.filters, height, width)
            else:
                h, c = states[n]
            outputs = []
            for t in range(x.shape[1]):
                h, c = cell(x[:, t], h, c)
                outputs.append(h)
            after.append((h, c))
            x = functional.relu(norm(torch.stack(outputs, dim=2))).transpose(1, 2)
        return x.transpose(1, 2), after

    def logits(self, features: torch.Tensor, before: int, behind: int) -> torch.Tensor:
        """The output convolution, with so many empty frames before and behind the features."""
        return self.head(functional.pad(features, (1, 1, 1, 1, before, behind))).transpose(1, 2)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return self.logits(self.features(frames, None)[0], 1, 1)

    def rollout(self, frames: torch.Tensor, horizon: int) -> torch.Tensor:
        """Predictions after the frames, step by step with the states carried on."""
        features, states = self.features(frames, None)
        latest = torch.sigmoid(self.logits(features, 2, 0)[:, -1:].float())
        predictions = [latest]
        for _ in range(horizon - 1):
            new, states = self.features(latest, states)
            features = torch.cat([features[:, :, -2:], new], dim=2)
            latest = torch.sigmoid(self.logits(features, 2, 0)[:, -1:].float())
            predictions.append(latest)
        return torch.cat(predictions, dim=1)


class TorchPeer:
    """The network on all cores, with NumPy in and out, and frames as this project has them.

    precision : "float32", or "bfloat16" for PyTorch's automatic mixed precision
    """

    def __init__(self, config: ModelConfig, precision: str = "float32") -> None:
        torch.set_num_threads(os.cpu_count() or 1)
        self.network, self.precision = Network(config), precision

    def _autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast("cpu", torch.bfloat16, enabled=self.precision == "bfloat16")

    def next_frames(self, frames: np.ndarray) -> np.ndarray:
        """(batch, time, canvas, canvas, 1) to (batch, time - 1, canvas, canvas, 1)."""
        self.network.eval()
        with torch.inference_mode(), self._autocast():
            return _from_torch(torch.sigmoid(self.network(_to_torch(frames[:, :-1])).float()))

    def rollout(self, frames: np.ndarray, horizon: int) -> np.ndarray:
        """(batch, context, canvas, canvas, 1) to (batch, horizon, canvas, canvas, 1)."""
        self.network.eval()
        with torch.inference_mode(), self._autocast():
            return _from_torch(self.network.rollout(_to_torch(frames), horizon))

    def training_step(self, frames: np.ndarray, targets: np.ndarray) -> Any:
        """A call that trains one step with cross entropy, Adam and clipped gradients; it returns the loss."""
        x, y = _to_torch(frames), _to_torch(targets)
        optimizer = torch.optim.Adam(self.network.parameters())
        self.network.train()

        def step() -> float:
            optimizer.zero_grad()
            with self._autocast():
                logits = self.network(x)
            loss = functional.binary_cross_entropy_with_logits(logits.float(), y)
            loss.backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
            optimizer.step()
            return loss.item()

        return step


def _to_torch(frames: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(frames, -1, 2)))


def _from_torch(frames: torch.Tensor) -> np.ndarray:
    return np.moveaxis(frames.numpy(), 2, -1)
