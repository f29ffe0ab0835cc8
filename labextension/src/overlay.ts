/**
 * The object with some members in place of its own. Everything else is the object's, as if one had
 * it in hand: what is set on the overlay is set on the object, and methods run on the object.
 */
export function overlay<T extends object>(target: T, members: Partial<T>): T {
  return new Proxy(target, {
    get: (object, name): unknown => {
      if (Object.prototype.hasOwnProperty.call(members, name)) {
        return members[name as keyof T];
      }
      const value: unknown = Reflect.get(object, name, object);
      return typeof value === 'function' ? (value.bind(object) as unknown) : value;
    },
    set: (object, name, value): boolean => Reflect.set(object, name, value, object)
  });
}
