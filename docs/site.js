// The theme gives several landmarks one name, or none: each gets its own.
document$.subscribe(() =>
  setTimeout(() => {
    const seen = {};
    for (const nav of document.querySelectorAll("nav")) {
      const name = nav.ariaLabel || "Code";
      seen[name] = (seen[name] || 0) + 1;
      nav.ariaLabel = seen[name] > 1 ? `${name} ${seen[name]}` : name;
    }
  })
);
