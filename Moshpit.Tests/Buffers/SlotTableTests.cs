using Moshpit.Server.Buffers;

namespace Moshpit.Tests.Buffers;

internal sealed class SlotTableTests
{
    [Test]
    public void Slots_are_used_again_and_nothing_moves()
    {
        var table = new SlotTable<string>();
        string[] items = ["a", "b", "c"];
        int[] slots = [.. items.Select(table.Add)];
        table.Remove(slots[1], items[1]);
        Assert.That(table.Snapshot().ToArray(), Is.EqualTo(new[] { "a", null, "c" }));
        Assert.That(table.Add("d"), Is.EqualTo(slots[1]));
        Assert.That(table.Snapshot().ToArray(), Is.EqualTo(new[] { "a", "d", "c" }));
        Assert.That(table.Count, Is.EqualTo(3));
    }

    [Test]
    public void Nobody_can_be_removed_by_another()
    {
        var table = new SlotTable<string>();
        int slot = table.Add("a");
        Assert.That(() => table.Remove(slot, "b"), Throws.InvalidOperationException);
        table.Remove(slot, "a");
        int again = table.Add("b");
        Assert.That(() => table.Remove(again, "a"), Throws.InvalidOperationException);
    }

    [Test]
    public void When_all_are_gone_it_is_as_new()
    {
        var table = new SlotTable<string>();
        for (int round = 0; round < 3; round++)
        {
            string[] items = [.. Enumerable.Range(0, 1000).Select(n => $"{n}")];
            int[] slots = [.. items.Select(table.Add)];
            Assert.That(slots, Is.EqualTo(Enumerable.Range(0, 1000)));
            foreach (int slot in slots.OrderBy(slot => slot * 7919 % 1000))
                table.Remove(slot, items[slot]);
            Assert.That(table.Count, Is.Zero);
            Assert.That(table.Snapshot().Length, Is.Zero);
        }
    }

    [Test]
    public async Task A_pass_skips_nobody_while_others_come_and_go()
    {
        const int Residents = 100;
        var table = new SlotTable<object>();
        object[] residents = [.. Enumerable.Range(0, Residents).Select(_ => new object())];
        using var stop = new CancellationTokenSource();
        Task[] guests = [.. Enumerable.Range(0, 2).Select(seed => Task.Run(() => ComeAndGo(table, new Random(seed), stop.Token)))];
        foreach (object resident in residents)
            table.Add(resident);
        for (int pass = 0; pass < 2000; pass++)
        {
            var met = new HashSet<object>(ReferenceEqualityComparer.Instance);
            foreach (object? member in table.Snapshot())
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

    private static void ComeAndGo(SlotTable<object> table, Random random, CancellationToken stop)
    {
        var present = new Stack<(int Slot, object Item)>();
        while (!stop.IsCancellationRequested)
        {
            if (present.Count < random.Next(300))
            {
                object item = new();
                present.Push((table.Add(item), item));
            }
            else if (present.TryPop(out (int Slot, object Item) guest))
            {
                table.Remove(guest.Slot, guest.Item);
            }
        }

        foreach ((int slot, object item) in present)
            table.Remove(slot, item);
    }
}
