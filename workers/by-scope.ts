import { type ScopeName, scopeNames } from "../models/definition/define.ts";

/** A value for each scope. */
export type ByScope<T> = { readonly [Scope in ScopeName]: T };

export function byScope<T>(make: (scope: ScopeName) => T): ByScope<T> {
  const [user, item, category, userCategory, global] = scopeNames;
  return {
    user: make(user),
    item: make(item),
    category: make(category),
    userCategory: make(userCategory),
    global: make(global),
  };
}
