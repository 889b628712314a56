"""Moving MNIST, the ConvLSTM that predicts it, and how well it does.

Nothing here imports Streamlit or Plotly: everything works from a script or a notebook. `digits`,
`moving_mnist`, `metrics`, `baselines` and `runs` need only NumPy and scikit-image, so that a page paints
before TensorFlow has loaded. For the same reason this file imports none of its modules.
"""
