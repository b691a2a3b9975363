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
