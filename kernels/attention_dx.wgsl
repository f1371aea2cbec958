// import attention_tiles.wgsl
// The gradients of attention (see attention.wgsl), in three passes:
//   attention_dx_rows  terms = (lse, D), D = rowsum(dO o), for the other two
//   attention_dq       dq = dS k, P = e^(scale q k^T - lse), dS = scale P (dO v^T - D)
//   attention_dkv      dv = P^T dO, dk = dS^T q, each a sum over the query heads that read the key-value head
// dO, dq as q; dk, dv as k; terms as lse. Rows of tiles are queries, or keys in attention_dkv, where a workgroup has two
// sides: the first makes P^T and dv, the second dS^T from it, and dk. D goes thread by thread. All results are written (=).

const LANES: u32 = 16;
const ROWS_AT_ONCE: u32 = 16;

@group(0) @binding(1) var<storage, read> o_dx: array<O>;
@group(0) @binding(2) var<storage, read> d_o_dx: array<DO>;
@group(0) @binding(3) var<storage, read> lse_dx: array<f32>;
@group(0) @binding(4) var<storage, read_write> terms_dx: array<vec2f>;

var<workgroup> partials: array<f32, LANES * ROWS_AT_ONCE>;

// LANES threads a row, each of the elements LANES apart.
@compute @workgroup_size(LANES * ROWS_AT_ONCE)
fn attention_dx_rows(
  @builtin(local_invocation_index) index: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let lane = index % LANES;
  for (var first = group.x * ROWS_AT_ONCE; first < shape.rows; first += groups.x * ROWS_AT_ONCE) {
    let row = first + index / LANES;
    var sum = 0.0;
    if (row < shape.rows) {
      for (var d = lane; d < shape.head_dim; d += LANES) {
        let at = row * shape.head_dim + d;
        sum = fma(f32(d_o_dx[at]), f32(o_dx[at]), sum);
      }
    }
    partials[index] = sum;
    workgroupBarrier();
    if (lane == 0 && row < shape.rows) {
      for (var i = 1u; i < LANES; i++) {
        sum += partials[index + i];
      }
      terms_dx[row] = vec2f(lse_dx[row], sum);
    }
    workgroupBarrier();
  }
}

// e^(scale score - lse) where the query sees the key.
fn probabilities(scores: vec4f, lse: vec4f, visible: vec4<bool>) -> vec4f {
  return exp(select(vec4f(LOWEST), fma(vec4f(shape.scale), scores, -lse), visible));
}

// dS of P, dP and D; 0 where P is, so that nothing comes from tokens that are not seen.
fn score_gradients(p: vec4f, dp: vec4f, d: vec4f) -> vec4f {
  return select(shape.scale * p * (dp - d), vec4f(0), p == vec4f(0));
}

@group(0) @binding(6) var<storage, read> terms: array<vec2f>;
@group(0) @binding(7) var<storage, read_write> dq: array<DQ>;

@compute @workgroup_size(THREADS)
fn attention_dq(
  @builtin(local_invocation_index) index: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  thread = thread_of(index);
  let place = place_of(groups.x - 1 - group.x);
  let head = group.y;
  let shared_head = head * shape.key_value_heads / shape.heads;
  let queries = query_head(QUERIES, place, head);
  let d_outputs = query_head(D_OUTPUTS, place, head);
  let keys = key_value_head(KEYS, place, shared_head);
  let values = key_value_head(VALUES, place, shared_head);
  var sums: Block;
  let end = min(place.first + TILE_ROWS, shape.sequence);
  for (var key = first_key(place); key < end; key += TILE_COLUMNS) {
    var scores = inner_products(queries, place, keys, key);
    var gradients = inner_products(d_outputs, place, values, key);
    for (var i = 0u; i < ROWS; i++) {
      let query = token_of(place, i);
      let term = terms[(place.base + query) * shape.heads + head];
      let p = probabilities(scores[0][i], vec4f(term.x), seen(place, query, columns_of(key)));
      gradients[0][i] = score_gradients(p, gradients[0][i], vec4f(term.y));
    }
    put_scores(&gradients);
    add_product(keys, key, &sums);
  }
  for (var i = 0u; i < ROWS; i++) {
    for (var j = 0u; j < VECTORS; j++) {
      let result = sums[j][i];
      let span = span_of(queries, token_of(place, i), j);
      for (var e = 0u; e < span.count; e++) {
        dq[span.first + e] = DQ(result[e]);
      }
    }
  }
}

fn terms_of(place: Place, query: u32, head: u32) -> vec2f {
  return terms[(place.base + query) * shape.heads + head];
}

// P^T of the tile's keys and the queries from `first` on.
fn transposed_probabilities(scores: ptr<function, Block>, place: Place, first: u32, head: u32) {
  let queries = columns_of(first);
  let firsts = vec4u(
    first_seen(place, queries.x),
    first_seen(place, queries.y),
    first_seen(place, queries.z),
    first_seen(place, queries.w),
  );
  let norms = vec4f(
    terms_of(place, queries.x, head).x,
    terms_of(place, queries.y, head).x,
    terms_of(place, queries.z, head).x,
    terms_of(place, queries.w, head).x,
  );
  for (var i = 0u; i < ROWS; i++) {
    let key = vec4u(token_of(place, i));
    scores[0][i] = probabilities(scores[0][i], norms, (key >= firsts) & (key <= queries));
  }
}

// dS^T of dP^T, and of P^T as the first side has put it.
fn transposed_gradients(products: ptr<function, Block>, place: Place, first: u32, head: u32) {
  let queries = columns_of(first);
  let d = vec4f(
    terms_of(place, queries.x, head).y,
    terms_of(place, queries.y, head).y,
    terms_of(place, queries.z, head).y,
    terms_of(place, queries.w, head).y,
  );
  for (var i = 0u; i < ROWS; i++) {
    let p = left[thread.column * LEFT_STRIDE + thread.row + i * ROW_THREADS];
    products[0][i] = score_gradients(p, products[0][i], d);
  }
}

@group(0) @binding(7) var<storage, read_write> dk: array<DK>;
@group(0) @binding(8) var<storage, read_write> dv: array<DV>;

@compute @workgroup_size(THREADS)
fn attention_dkv(@builtin(local_invocation_index) index: u32, @builtin(workgroup_id) group: vec3u) {
  thread = thread_of(index);
  let second = thread.side == 1;
  let place = place_of(group.x);
  let rows = key_value_head(select(KEYS, VALUES, second), place, group.y);
  let heads = shape.heads / shape.key_value_heads;
  let end = end_of_queries(place);
  var sums: Block;
  for (var head = group.y * heads; head < (group.y + 1) * heads; head++) {
    let columns = query_head(select(QUERIES, D_OUTPUTS, second), place, head);
    let factor = query_head(select(D_OUTPUTS, QUERIES, second), place, head);
    for (var query = place.first; query < end; query += TILE_COLUMNS) {
      var scores = inner_products(rows, place, columns, query);
      if (!second) {
        transposed_probabilities(&scores, place, query, head);
        put_scores(&scores);
      }
      workgroupBarrier();
      if (second) {
        transposed_gradients(&scores, place, query, head);
        put_scores(&scores);
      }
      add_product(factor, query, &sums);
    }
  }
  for (var i = 0u; i < ROWS; i++) {
    for (var j = 0u; j < VECTORS; j++) {
      let result = sums[j][i];
      let span = span_of(rows, token_of(place, i), j);
      for (var e = 0u; e < span.count; e++) {
        if (second) {
          dk[span.first + e] = DK(result[e]);
        } else {
          dv[span.first + e] = DV(result[e]);
        }
      }
    }
  }
}
