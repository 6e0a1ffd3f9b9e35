"""ELM's bottleneck adapters (Jang et al. 2023) on Hugging Face T5: after self-attention and after the feed-forward layer of every block."""

from torch import nn
from transformers.activations import ACT2FN


class Adapter(nn.Module):
    """up(gelu_new(down(x))) + x, both projections with a bias and no layer norm."""

    def __init__(self, width, bottleneck):
        super().__init__()
        self.down = nn.Linear(width, bottleneck)
        self.activation = ACT2FN["gelu_new"]
        self.up = nn.Linear(bottleneck, width)

    def forward(self, x):
        return self.up(self.activation(self.down(x))) + x


class Then:
    """A forward hook that adapts a module's output, or its first output. An object, so that copying a model copies it too."""

    def __init__(self, adapter):
        self.adapter = adapter

    def __call__(self, _module, _inputs, output):
        return (self.adapter(output[0]), *output[1:]) if isinstance(output, tuple) else self.adapter(output)


def add_bottleneck_adapters(model, bottleneck):
    """Freezes all but the layer norms and adds adapters named `encoder.block.0.layer.0.adapter.down.weight`, … (in place).

    The hooks change what a sublayer returns, so the adapter runs before dropout and the block's residual. Cross-attention gets none.
    """
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.endswith("layer_norm.weight"))
    for stack in (model.encoder, model.decoder):
        for block in stack.block:
            attention, feed_forward = block.layer[0], block.layer[-1]
            attention.adapter = Adapter(model.config.d_model, bottleneck)
            feed_forward.adapter = Adapter(model.config.d_model, bottleneck)
            attention.SelfAttention.register_forward_hook(Then(attention.adapter))
            feed_forward.DenseReluDense.register_forward_hook(Then(feed_forward.adapter))
    return model
