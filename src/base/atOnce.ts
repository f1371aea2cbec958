/**
 * Does work now, of which the result, or the error, is only wanted later: what a caller gives is taken as it is when the call
 * is made, also where a call is not to throw.
 * @returns what gives the result or throws the error, whenever it is asked
 */
export function atOnce<T>(work: () => T): () => T {
  try {
    const result = work();
    return () => result;
  } catch (error) {
    return () => {
      throw error;
    };
  }
}
