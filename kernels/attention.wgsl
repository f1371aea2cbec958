// import attention_tiles.wgsl
// Causal attention inside documents: token t of a row of the batch sees its tokens t - positions[t] .. t.
//   attention  o = P v, P = softmax(scale q k^T), lse = log of the sum of e^(scale q k^T)
// q, o [tokens, heads head_dim]; k, v [tokens, key_value_heads head_dim]; lse [tokens, heads]; query head h reads key-value
// head h key_value_heads / heads. Rows of tiles are queries. The sum of a softmax goes thread by thread. All results are
// written (=).

// Each row's values become their largest, or their sum, over the threads of the row.
fn across_columns(values: ptr<function, Rows>, sum: bool) {
  for (var i = 0u; i < ROWS; i += 4) {
    right[i / 4 * SIDE_THREADS + thread.index] = vec4f(values[i], values[i + 1], values[i + 2], values[i + 3]);
  }
  workgroupBarrier();
  for (var i = 0u; i < ROWS; i += 4) {
    let first = i / 4 * SIDE_THREADS + thread.row * COLUMN_THREADS;
    var total = right[first];
    for (var at = first + 1; at < first + COLUMN_THREADS; at++) {
      total = select(max(total, right[at]), total + right[at], sum);
    }
    values[i] = total.x;
    values[i + 1] = total.y;
    values[i + 2] = total.z;
    values[i + 3] = total.w;
  }
  workgroupBarrier();
}

struct Softmax {
  // Of the row's scores so far.
  maxima: Rows,
  // Of e^(score - maximum) in the thread's columns.
  sums: Rows,
}

// Scores of the keys from `first` on become e^(score - maximum); what was summed before follows the new maxima.
fn exponentiate(
  scores: ptr<function, Block>,
  place: Place,
  first: u32,
  softmax: ptr<function, Softmax>,
  outputs: ptr<function, Block>,
) {
  let keys = columns_of(first);
  var maxima: Rows;
  for (var i = 0u; i < ROWS; i++) {
    let s = select(vec4f(LOWEST), shape.scale * scores[0][i], seen(place, token_of(place, i), keys));
    scores[0][i] = s;
    maxima[i] = max(softmax.maxima[i], max(max(s.x, s.y), max(s.z, s.w)));
  }
  across_columns(&maxima, false);
  for (var i = 0u; i < ROWS; i++) {
    let shrink = exp(softmax.maxima[i] - maxima[i]);
    let p = select(exp(scores[0][i] - maxima[i]), vec4f(0), scores[0][i] == vec4f(LOWEST));
    scores[0][i] = p;
    softmax.maxima[i] = maxima[i];
    softmax.sums[i] = fma(softmax.sums[i], shrink, p.x + p.y + p.z + p.w);
    for (var j = 0u; j < VECTORS; j++) {
      outputs[j][i] *= shrink;
    }
  }
}

@group(0) @binding(6) var<storage, read_write> o: array<O>;
@group(0) @binding(7) var<storage, read_write> lse: array<f32>;

@compute @workgroup_size(THREADS)
fn attention(
  @builtin(local_invocation_index) index: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  thread = thread_of(index);
  // The last queries see the most keys, and start first.
  let place = place_of(groups.x - 1 - group.x);
  let head = group.y;
  let shared_head = head * shape.key_value_heads / shape.heads;
  let queries = query_head(QUERIES, place, head);
  let keys = key_value_head(KEYS, place, shared_head);
  let values = key_value_head(VALUES, place, shared_head);
  var softmax: Softmax;
  var outputs: Block;
  for (var i = 0u; i < ROWS; i++) {
    softmax.maxima[i] = LOWEST;
  }
  let end = min(place.first + TILE_ROWS, shape.sequence);
  for (var key = first_key(place); key < end; key += TILE_COLUMNS) {
    var scores = inner_products(queries, place, keys, key);
    exponentiate(&scores, place, key, &softmax, &outputs);
    put_scores(&scores);
    add_product(values, key, &outputs);
  }
  across_columns(&softmax.sums, true);
  for (var i = 0u; i < ROWS; i++) {
    let token = token_of(place, i);
    let sum = softmax.sums[i];
    if (thread.column == 0 && token < shape.sequence) {
      lse[(place.base + token) * shape.heads + head] = softmax.maxima[i] + log(sum);
    }
    for (var j = 0u; j < VECTORS; j++) {
      let result = outputs[j][i] / sum;
      let span = span_of(queries, token, j);
      for (var e = 0u; e < span.count; e++) {
        o[span.first + e] = O(result[e]);
      }
    }
  }
}
