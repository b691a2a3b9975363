const compared = (a, b) => {
  const [x, y] = [Number(a), Number(b)];
  return a !== "" && b !== "" && !Number.isNaN(x) && !Number.isNaN(y) ? x - y : a.localeCompare(b);
};

document.querySelectorAll("table.sortable").forEach((table) => {
  const heads = [...table.tHead.rows[0].cells];
  const sorted = (head, place) => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    heads.forEach((each) => each.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const value = (row) => row.cells[place].dataset.sort;
    const order = (left, right) => compared(value(left), value(right)) * (up ? 1 : -1);
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort(order));
  };
  heads.forEach((head, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sorted(head, place));
    head.setAttribute("aria-sort", "none");
    head.append(button);
  });
});

document.querySelectorAll(".filter").forEach((filter) => {
  const input = filter.querySelector("input");
  const rows = [...document.getElementById(input.getAttribute("aria-controls")).tBodies[0].rows];
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/);
    rows.forEach((row) => {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    });
    const shown = rows.filter((row) => !row.hidden).length;
    filter.querySelector("output").textContent = input.value ? `${shown} of ${rows.length} rows` : "";
  });
  filter.hidden = false;
});
