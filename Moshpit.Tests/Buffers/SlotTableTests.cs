using Moshpit.Server.Buffers;

namespace Moshpit.Tests.Buffers;

internal sealed class SlotTableTests
{
    [Test]
    public void Slots_are_used_again_and_nothing_moves()
    {
        var table = new SlotTable<Item>();
        Item[] items = Fill(table, 3);
        table.Remove(items[1]);
        Assert.That(table.Snapshot().ToArray(), Is.EqualTo(new[] { items[0], null, items[2] }));
        var next = new Item();
        table.Add(next);
        Assert.That(table.Snapshot().ToArray(), Is.EqualTo(new[] { items[0], next, items[2] }));
        Assert.That(table.Count, Is.EqualTo(3));
    }

    [Test]
    public void No_member_is_removed_in_the_place_of_another()
    {
        var table = new SlotTable<Item>();
        Item item = Fill(table, 1)[0];
        Assert.That(() => table.Remove(new Item()), Throws.InvalidOperationException);
        table.Remove(item);
        Assert.That(() => table.Remove(item), Throws.InvalidOperationException);
        Fill(table, 1);
        Assert.That(() => table.Remove(item), Throws.InvalidOperationException);
        Assert.That(table.Count, Is.EqualTo(1));
    }

    [Test]
    public void When_all_are_gone_it_is_as_new()
    {
        var table = new SlotTable<Item>();
        for (int round = 0; round < 3; round++)
        {
            Item[] items = Fill(table, 1000);
            Assert.That(items.Select(item => item.Slot), Is.EqualTo(Enumerable.Range(0, 1000)));
            foreach (Item item in items.OrderBy(item => item.Slot * 7919 % 1000).ToArray())
                table.Remove(item);
            Assert.That(table.Count, Is.Zero);
            Assert.That(table.Snapshot().Length, Is.Zero);
        }
    }

    [Test]
    public void When_most_of_a_crowd_has_left_a_snapshot_is_short_again_and_an_older_one_still_has_all()
    {
        var table = new SlotTable<Item>();
        Item[] items = Fill(table, 1000);
        ReadOnlyMemory<Item?> pass = table.SnapshotMemory();
        foreach (Item item in items.Skip(2).SkipLast(1))
            table.Remove(item);
        Item[] residents = [items[0], items[1], items[^1]];
        Assert.That(table.Snapshot().Length, Is.LessThan(64));
        Assert.That(table.Snapshot().ToArray().Where(item => item is not null), Is.EqualTo(residents));
        Assert.That(pass.ToArray(), Is.SupersetOf(residents));
        Fill(table, 5);
        foreach (Item item in residents)
            table.Remove(item);
        Assert.That(table.Count, Is.EqualTo(5));
    }

    [Test]
    public async Task A_snapshot_skips_no_member_while_others_come_and_go()
    {
        const int Residents = 20;
        var table = new SlotTable<Item>();
        using var stop = new CancellationTokenSource();
        Task[] guests = [.. Enumerable.Range(0, 2).Select(seed => Task.Run(() => ComeAndGo(table, new Random(seed), stop.Token)))];
        Item[] residents = Fill(table, Residents);
        for (int pass = 0; pass < 2000; pass++)
        {
            var met = new HashSet<Item>(ReferenceEqualityComparer.Instance);
            foreach (Item? member in table.Snapshot())
            {
                if (member is not null)
                    met.Add(member);
            }

            if (!met.IsSupersetOf(residents))
                Assert.Fail($"Pass {pass} met {met.Intersect(residents).Count()} of {Residents}.");
        }

        await stop.CancelAsync();
        await Task.WhenAll(guests);
        Assert.That(table.Count, Is.EqualTo(Residents));
    }

    private static Item[] Fill(SlotTable<Item> table, int count)
    {
        Item[] items = [.. Enumerable.Range(0, count).Select(_ => new Item())];
        foreach (Item item in items)
            table.Add(item);
        return items;
    }

    /// <summary>A crowd that grows and shrinks, so that members that stay have to move.</summary>
    private static void ComeAndGo(SlotTable<Item> table, Random random, CancellationToken stop)
    {
        var present = new Stack<Item>();
        int wanted = 0;
        while (!stop.IsCancellationRequested)
        {
            if (present.Count == wanted)
                wanted = random.Next(300);
            if (present.Count < wanted)
                present.Push(Fill(table, 1)[0]);
            else if (present.TryPop(out Item? guest))
                table.Remove(guest);
        }

        foreach (Item item in present)
            table.Remove(item);
    }

    private sealed class Item : ISlotted
    {
        public int Slot { get; set; }
    }
}
