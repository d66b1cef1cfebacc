/**
 * Values that are made together and wanted one by one.
 * @module
 */

/**
 * Returns a function that takes one value out of what `make` gives. Values that are left wait for their turn; one that
 * has been taken, or was never there, makes all anew. So taking each once makes them once and keeps none.
 */
export const takeOnce = <K extends string, V>(make: () => Readonly<Record<K, V | undefined>>): ((key: K) => V) => {
  let left: Partial<Record<K, V | undefined>> = {}
  return (key) => {
    if (left[key] === undefined) left = { ...make() }
    const value = left[key]
    if (value === undefined) throw new RangeError(`There is no "${key}" to take`)
    delete left[key]
    return value
  }
}
