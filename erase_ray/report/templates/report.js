document.querySelectorAll("table.sortable").forEach((table) => {
  const heads = [...table.tHead.rows[0].cells];
  const value = (row, place) => row.cells[place].dataset.sort;
  const isNumber = (text) => text !== "" && !Number.isNaN(Number(text));
  heads.forEach((head, place) => {
    head.querySelector("button").addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const compare = (left, right) => {
        const [a, b] = [value(left, place), value(right, place)];
        if (a === "" || b === "") return (a === "") - (b === "");
        const order = isNumber(a) && isNumber(b) ? a - b : a.localeCompare(b);
        return up ? order : -order;
      };
      const body = table.tBodies[0];
      [...body.rows].sort(compare).forEach((row) => body.append(row));
    });
  });
});

document.querySelectorAll("form.filters").forEach((form) => {
  const table = document.getElementById(form.dataset.for);
  const text = form.querySelector("input");
  const choices = [...form.querySelectorAll("select")];
  const told = form.querySelector("output");
  const rows = [...table.tBodies[0].rows];
  const apply = () => {
    const wanted = text.value.trim().toLowerCase();
    let left = 0;
    rows.forEach((row) => {
      const fits =
        row.textContent.toLowerCase().includes(wanted) &&
        choices.every((choice) => !choice.value || row.dataset[choice.dataset.key] === choice.value);
      row.hidden = !fits;
      left += fits;
    });
    told.textContent = left === rows.length ? "" : `${left} of ${rows.length} rows`;
  };
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", apply);
  apply();
});

const open = () => {
  const place = document.getElementById(location.hash.slice(1));
  for (let at = place; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
};
addEventListener("hashchange", open);
open();
