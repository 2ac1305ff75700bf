"""LightGBM on the features that our ranker was trained on.

    python lightgbm_heads.py FEATURES PREDICTIONS

FEATURES is what bench/peers/lightgbm.ts writes: one line of JSON, then little-endian float32
features (rows x columns), labels (rows x heads, NaN where unknown) and uint8 parts (rows):
0 early training, 1 late training, 2 test. One booster a head: its settings and number of trees are
those that do best on the late part of training after the early one; then it is fitted again on
both. Writes float32 predictions (seeds x heads x test rows), and a line of progress for each head.
"""

import json
import sys

import lightgbm as lgb
import numpy as np

GRID = [
    {"num_leaves": leaves, "min_data_in_leaf": least}
    for leaves in (7, 15, 31)
    for least in (20, 100)
]
TREES_MAX = 1500
PATIENCE = 60


def read(path):
    with open(path, "rb") as file:
        head = json.loads(file.readline())
        rows, columns, heads = head["rows"], head["columns"], len(head["heads"])
        features = np.frombuffer(file.read(4 * rows * columns), "<f4").reshape(rows, columns)
        labels = np.frombuffer(file.read(4 * rows * heads), "<f4").reshape(rows, heads)
        parts = np.frombuffer(file.read(rows), "u1")
    return head, features, labels, parts


OBJECTIVES = {
    "binary": {"objective": "binary", "metric": "auc"},
    "median": {"objective": "regression_l1", "metric": "l1"},
    "mean": {"objective": "regression", "metric": "l2"},
}


def settings(objective, choice, seed):
    return {
        **OBJECTIVES[objective],
        **choice,
        "learning_rate": 0.03,
        "feature_fraction": 0.6,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "lambda_l2": 1.0,
        "seed": seed,
        "num_threads": 1,
        "deterministic": True,
        "verbosity": -1,
    }


def choose(objective, early, late):
    """The best of the grid on the late part of training, with its number of trees."""
    best = None
    for choice in GRID:
        late_set = lgb.Dataset(*late, free_raw_data=False)
        booster = lgb.train(
            settings(objective, choice, 1),
            lgb.Dataset(*early, free_raw_data=False),
            TREES_MAX,
            valid_sets=[late_set],
            callbacks=[lgb.early_stopping(PATIENCE, verbose=False)],
        )
        score = next(iter(booster.best_score["valid_0"].values()))
        better = best is None or (score > best[0] if objective == "binary" else score < best[0])
        if better:
            best = (score, choice, booster.best_iteration)
    return best


def predict(name, objective, seeds, columns):
    """Seconds are learned as log1p seconds."""
    features, labels, parts = columns
    target = labels if objective == "binary" else np.log1p(labels)
    known = ~np.isnan(labels)
    part = lambda wanted: (features[known & wanted], target[known & wanted])
    score, choice, trees = choose(objective, part(parts == 0), part(parts == 1))
    print(f"lightgbm {name}: {choice} {trees} trees, {score:.4f} inside training", flush=True)
    out = []
    for seed in range(1, seeds + 1):
        train = lgb.Dataset(*part(parts < 2), free_raw_data=False)
        booster = lgb.train(settings(objective, choice, seed), train, trees)
        values = booster.predict(features[parts == 2])
        out.append(values if objective == "binary" else np.expm1(np.maximum(values, 0)))
    return out


def main(features_path, predictions_path):
    head, features, labels, parts = read(features_path)
    seeds = head["seeds"]
    by_head = [
        predict(one["name"], one["objective"], seeds, (features, labels[:, h], parts))
        for h, one in enumerate(head["heads"])
    ]
    out = np.array([[runs[seed] for runs in by_head] for seed in range(seeds)], "<f4")
    out.tofile(predictions_path)


if __name__ == "__main__":
    main(*sys.argv[1:])
